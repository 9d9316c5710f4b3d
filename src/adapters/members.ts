// Draws of the weights of low rank: member m of seed s adds to each matrix W of n_out rows and n_in columns
//
//   E = sigma_W / sqrt(r) · B·A,   A of r rows of n_in and B of n_out rows of r numbers, standard normal and independent,
//
// so that every weight moves with mean 0 and variance sigma_W^2 (docs/theory/low-rank.md). Sigma_W is sigma times what its scale says (RMS by
// default). NAME is a matrix's in GGUF, and rows are in GGUF's order. A and B have streams of their own,
// "NAME.lora_a" and "NAME.lora_b", at tick m: no tensor has such a name, so these share no bits with any
// move of codes, and no purpose of the counter is needed. Number k·n + i of a stream is that of rank-one term k: the first terms of a member are the
// same at every rank. Pure: the same bits on every backend.

import { BrownianError, checkInteger } from "../errors.js";
import { type ModelFile, openModel, type Skipped, type Tensor } from "../files/index.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import { Noise } from "../noise/index.js";
import { Measures } from "../thermostat/draw.js";
import { type CheckedNoise, MOST_MEMBER } from "../thermostat/noise.js";
import { chooseMatrices } from "./matrices.js";
import { nameInGguf } from "./names.js";

/** A matrix that members move. */
export interface Matrix {
  readonly tensor: Tensor;
  /** As GGUF calls it, whatever the model lies in. */
  readonly name: string;
  /** Outputs. */
  readonly rows: number;
  /** Inputs. */
  readonly columns: number;
  /** Standard deviation of the noise on a weight where `Members.sigma` is 1, in weight units. */
  readonly unit: number;
  /** Where it goes by column: what it is multiplied with. */
  readonly factors?: Float32Array | undefined;
}

/** What one member adds to a matrix: b·a. */
export interface Pair {
  readonly matrix: Matrix;
  /** Rank rows, of a number for every input. */
  readonly a: Float32Array;
  /** Rank columns, one after the other, of a number for every output, in the order of GGUF's rows. */
  readonly b: Float32Array;
}

/** What becomes files: members of one seed, or a mixture of them (mixture.ts). */
export interface Drawing {
  readonly model: ModelFile;
  readonly seed: bigint;
  readonly rank: number;
  readonly matrices: readonly Matrix[];
  /** Of a mixture: which it is, for people. */
  readonly mixed?: string | undefined;
  /** Matrix by matrix. */
  draw(member: number, sigma: number): Generator<Pair>;
}

export class Members implements Drawing {
  /**
   * The members of a model by this noise, of which scale, seed, rank and tensors count: sigma is given with each draw.
   * @throws BrownianError usage (rank larger than a matrix, scale step), unsupported-type and the like, as {@link chooseMatrices}
   */
  static async open(model: ModelFile, noise: CheckedNoise, kernels: Kernels = selection().kernels): Promise<Members> {
    const rank = noise.carrier?.rank ?? 1;
    if (noise.scale === "step")
      throw new BrownianError(
        "usage",
        "An adapter knows nothing of the steps of blocks: take the scale rms, absolute or imatrix.",
      );
    const { chosen, skipped } = chooseMatrices(model, noise);
    for (const { name, shape } of chosen)
      if (rank > Math.min(...shape.slice(0, 2)))
        throw new BrownianError(
          "usage",
          `rank ${rank} is larger than ${name} of ${model.path} (${shape.join(" x ")}): take ${Math.min(...shape.slice(0, 2))} or less.`,
        );
    const reader = await openModel(model, kernels);
    try {
      const measures = new Measures(reader, model);
      const sigmaOf = await measures.sigmaOf(noise);
      const matrices: Matrix[] = [];
      for (const tensor of chosen) {
        const [columns, rows] = tensor.shape as [number, number];
        const { sigma, columns: by } = await sigmaOf(1, { tensor, rms: () => measures.rms(tensor) });
        matrices.push({ tensor, name: nameInGguf(model, tensor.name), rows, columns, unit: sigma, factors: by?.factors });
      }
      return new Members(model, noise.seed, rank, matrices, skipped, kernels);
    } finally {
      await reader.close();
    }
  }

  private constructor(
    readonly model: ModelFile,
    readonly seed: bigint,
    readonly rank: number,
    readonly matrices: readonly Matrix[],
    readonly skipped: readonly Skipped[],
    private readonly kernels: Kernels,
  ) {}

  /** The same of another seed. */
  ofSeed(seed: bigint): Members {
    return new Members(this.model, seed, this.rank, this.matrices, this.skipped, this.kernels);
  }

  /** Weights of all matrices. */
  get weights(): number {
    return this.matrices.reduce((sum, { tensor }) => sum + tensor.weights, 0);
  }

  /** How many numbers a member has. */
  get numbers(): number {
    return this.matrices.reduce((sum, { rows, columns }) => sum + this.rank * (rows + columns), 0);
  }

  /**
   * Member `member` at this sigma, matrix by matrix. A negative sigma is its mirror image.
   * @throws BrownianError usage for what is no member, or a sigma beyond float32
   */
  *draw(member: number, sigma: number): Generator<Pair> {
    checkInteger("member", member, 0, MOST_MEMBER);
    const noise = new Noise(this.seed, this.kernels);
    for (const matrix of this.matrices) {
      const { name } = matrix;
      const strength = Math.fround((sigma * matrix.unit) / Math.sqrt(this.rank));
      if (!Number.isFinite(strength))
        throw new BrownianError("usage", `sigma ${sigma} is beyond float32 on tensor ${name}: take a smaller one.`);
      const a = noise.stream(`${name}.lora_a`).normal(new Float32Array(this.rank * matrix.columns), { tick: member });
      const b = noise.stream(`${name}.lora_b`).normal(new Float32Array(this.rank * matrix.rows), { tick: member });
      for (let i = 0; i < b.length; i++) b[i] = strength * (b[i] as number);
      if (matrix.factors !== undefined) multiplyColumns(a, matrix.factors);
      yield { matrix, a, b };
    }
  }
}

function multiplyColumns(a: Float32Array, factors: Float32Array): void {
  const { length } = factors;
  for (let i = 0; i < a.length; i++) a[i] = (a[i] as number) * (factors[i % length] as number);
}

/** Columns one after the other as rows: what formats of adapters have of B. */
export function rowsOf(b: Float32Array, rank: number, order: (row: number) => number = (row) => row): Float32Array {
  const rows = b.length / rank;
  const out = new Float32Array(b.length);
  for (let i = 0; i < rows; i++) for (let k = 0; k < rank; k++) out[order(i) * rank + k] = b[k * rows + i] as number;
  return out;
}
