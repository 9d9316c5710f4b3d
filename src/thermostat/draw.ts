// One draw over the tensors of a model: what Thermostat does at every draw and perturbFile does once.

import { BrownianError } from "../errors.js";
import {
  chooseTensors,
  type FileWatch,
  type LiveTensors,
  type ModelFile,
  type Reader,
  type Skipped,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../files/index.js";
import { makeMove, supportedFormat } from "../lattice/perturb.js";
import { streamKey } from "../noise/index.js";
import type { CheckedNoise } from "./noise.js";
import type { SigmaOf, TensorSigma } from "./scales/index.js";

/** What a draw did to one tensor. */
export interface TensorDrawn {
  /** The tensor that it was. */
  readonly tensor: Tensor;
  /** Standard deviation of its noise, in weight units or in steps. */
  readonly sigma: TensorSigma;
  /** Codes (or floats) that differ from the pristine model's. */
  readonly changed: number;
}

/**
 * What is found out once of a model: the RMS of its tensors, which never changes (it is the pristine model's), and the
 * rules of scales.
 */
export class Measures {
  private readonly known = new Map<string, Promise<unknown>>();
  constructor(
    private readonly reader: Pick<Reader, "sumSquares">,
    private readonly model: ModelFile,
  ) {}

  rms(tensor: Tensor): Promise<number> {
    return this.once(`rms ${tensor.name}`, () => tensorRms(this.reader, tensor));
  }

  /** How sigma becomes a tensor's, by the noise's scale. */
  sigmaOf(noise: CheckedNoise): Promise<SigmaOf> {
    return this.once(`scale ${noise.scale} ${noise.file}`, () => noise.open(this.model));
  }

  private once<T>(what: string, measure: () => Promise<T>): Promise<T> {
    const known = this.known.get(what) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const measured = measure();
    measured.catch(() => this.known.delete(what)); // tried again next time
    this.known.set(what, measured);
    return measured;
  }
}

/** The tensors that this noise moves, and those left alone with the reason. */
export function choose(model: ModelFile, noise: CheckedNoise): { chosen: readonly Tensor[]; skipped: readonly Skipped[] } {
  return chooseTensors(model, noise);
}

/** How a tensor is to move; its sigma may be 0. */
export interface PlannedMove {
  readonly tensor: Tensor;
  readonly sigma: TensorSigma;
  readonly move: TensorMove;
}

/**
 * The move of a tensor at a tick at which the noise's sigma is `given`, in units of its scale.
 * @throws BrownianError usage where that is beyond float32
 */
export async function planMove(
  tensor: Tensor,
  noise: CheckedNoise,
  given: number,
  tick: number,
  measures: Measures,
): Promise<PlannedMove> {
  const sigmaOf = await measures.sigmaOf(noise);
  const exact = await sigmaOf(given, { tensor, rms: () => measures.rms(tensor) });
  const sigma = { ...exact, sigma: Math.fround(exact.sigma) };
  if (!Number.isFinite(sigma.sigma))
    throw new BrownianError(
      "usage",
      `sigma ${given} (${noise.scale}) is beyond float32 on tensor ${tensor.name}: take a smaller one.`,
    );
  const move = makeMove(supportedFormat(tensor.type, `tensor ${tensor.name}: `), {
    ...sigma,
    key: streamKey(noise.seed, tensor.name),
    tick,
    rounding: noise.rounding,
    index: 0,
    steps: null,
    rowLength: 1,
  });
  return { tensor, sigma, move };
}

/** live := pristine + noise(seed, tick) for every given tensor; yields each as it is done. */
export async function* drawTensors(
  liveTensors: Pick<LiveTensors, "perturb" | "restore">,
  tensors: readonly Tensor[],
  noise: CheckedNoise,
  tick: number,
  measures: Measures,
  watch: FileWatch = {},
): AsyncGenerator<TensorDrawn> {
  for (const tensor of tensors) {
    watch.signal?.throwIfAborted();
    const { sigma, move } = await planMove(tensor, noise, noise.at(tick), tick, measures);
    if (sigma.sigma === 0) {
      await liveTensors.restore(tensor, watch);
      yield { tensor, sigma, changed: 0 };
    } else {
      yield { tensor, sigma, changed: await liveTensors.perturb(tensor, move, watch) };
    }
  }
}
