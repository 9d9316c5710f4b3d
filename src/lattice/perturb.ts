// The library's `perturb`: checks what the caller says about a run of weights in memory and hands it to the kernels.

import { BrownianError, checkChoice, checkInteger, checkNumber, checkObject, checkText, shown } from "../errors.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import type { Move } from "../laws/move.js";
import { Rounding } from "../laws/numbers.js";
import { checkArray } from "../memory.js";
import { type Seed, streamKey } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { encodedFormat, FORMATS, type Format, formatNamed } from "./formats.js";

const SCALES = ["absolute", "step"] as const;
const ROUNDINGS = Object.keys(Rounding) as Rounding[];

/** What {@link perturb} is told: the format of the weights, and the noise to put on them. */
export interface PerturbOptions {
  /** The weights' type by its ggml name: see {@link FORMATS}. */
  readonly type: string;
  /** Standard deviation of the noise, 0 to 3.4e38 in units of `scale`; 0 moves nothing. */
  readonly sigma: number;
  /**
   * "absolute" (default): weight units. "step": units of the step of each block (of floats: the distance to the next larger
   * value).
   */
  readonly scale?: "absolute" | "step";
  /** Any whole number, taken modulo 2^64. */
  readonly seed: Seed;
  /** The tensor's name: equal seeds and names give equal noise. Default "". */
  readonly name?: string;
  /** Which of the independent draws of this seed and name, 0 (the default) to 2^32 - 1. */
  readonly tick?: number;
  /** How noise is put on the grid of codes: see docs/theory/moves.md. Default "matched". */
  readonly rounding?: Rounding;
  /** I8 only, which has no scale of its own: the step of all weights, or one a row (rows of weights / steps.length). */
  readonly step?: number | Float32Array;
  /**
   * The tensor-wide index of the first weight of `data`, a multiple of the block; default 0. Lets a tensor be moved in chunks.
   */
  readonly index?: number;
  /** With `index` and one step a row: weights a row. */
  readonly rowLength?: number;
  /** Receives the bytes as they were. As long as `data`. */
  readonly undo?: Uint8Array;
}

/** The names of {@link PerturbOptions}. */
export const PERTURB: Names<PerturbOptions> = {
  type: true,
  sigma: true,
  scale: true,
  seed: true,
  name: true,
  tick: true,
  rounding: true,
  step: true,
  index: true,
  rowLength: true,
  undo: true,
};

/** What {@link perturb} did. */
export interface Moved {
  /** Weights that could move. */
  readonly weights: number;
  /** Codes (or floats) that did. */
  readonly changed: number;
}

/**
 * Moves the weights in `data` in place by noise of standard deviation sigma, each onto a value that its format can store.
 *
 * w' = w + step k, k a whole number with E[k] = 0 and |k| at most the distance to the nearer end of the codes. With s = sigma /
 * step, Var[k] = s^2 away from those ends under `matched` rounding, more under `stochastic`, 0 for small s under `nearest`
 * (docs/theory/moves.md). Formats whose values lie unevenly, and F16 and BF16, have laws of their own there. The same arguments give
 * the same bytes on every backend.
 *
 * @param data whole blocks of one tensor; scales and all other bytes that are no codes stay as they are
 * @param options type and sigma (0 to 3.4e38, in units of `scale`) and seed are needed; the rest has defaults
 * @param kernels the backend; by default the process's selection
 * @returns how many weights `data` has, and how many of them changed
 * @throws BrownianError `usage` for arguments out of range, other kinds of arrays, memory that is gone or lengths that do not fit, `unsupported-type` for types that cannot
 * be moved
 * @example
 * const bytes = new Uint8Array(34 * 8); // eight Q8_0 blocks
 * perturb(bytes, { type: "Q8_0", sigma: 1e-3, seed: 42n, name: "blk.0.attn_q.weight" });
 */
export function perturb(data: Uint8Array, options: PerturbOptions, kernels: Kernels = selection().kernels): Moved {
  const { bytes, undo, move, weights } = checkedMove(data, checkOptions("perturb", options, PERTURB));
  undo?.set(bytes);
  return { weights, changed: kernels.perturb(bytes, move) };
}

/** What `perturb` and `perturbAsync` do, and to which bytes. */
export interface CheckedCall {
  readonly bytes: Uint8Array;
  readonly undo: Uint8Array | undefined;
  readonly move: Move;
  readonly weights: number;
}

/**
 * What `perturb` and `perturbAsync` do to this data. Options are read once, and before arrays are looked at: to read them may run code of the
 * caller's.
 * @throws BrownianError for arguments that do not fit
 */
export function checkedMove(data: Uint8Array, options: PerturbOptions): CheckedCall {
  const { type, sigma, scale, seed, name = "", tick = 0, rounding = "matched" } = checkObject("options", options);
  const { step, index: first = 0, rowLength, undo } = options;
  const format = supportedFormat(type);
  const bytes = checkArray("data", data, "Uint8Array");
  if (bytes.length % format.bytes !== 0) refuseLength(format, bytes.length);
  const weights = (bytes.length / format.bytes) * format.weights;
  const index = checkInteger("index", first, 0);
  if (index % format.weights !== 0) refuseIndex(format, index);
  // Beyond, numbers no longer tell one weight from the next.
  checkInteger("index + the weights of data", index + weights, 0);
  if (scale !== undefined) checkChoice("scale", scale, SCALES);
  const steps = externalSteps(format, step);
  const move = makeMove(format, {
    sigma: checkSigma(sigma),
    inSteps: scale === "step",
    key: streamKey(seed, checkText("name", name)),
    tick,
    rounding,
    index,
    steps,
    rowLength: steps === null ? 1 : checkedRowLength(steps, rowLength, weights, index),
  });
  const kept =
    undo === undefined ? undefined : checkArray("undo", undo, "Uint8Array", { of: "data", is: bytes.length, unit: "bytes" });
  return { bytes, undo: kept, move, weights };
}

// Apart, so that the checks are small enough to be compiled together.
function refuseLength({ name, bytes }: Format, length: number): never {
  throw new BrownianError("usage", `data has ${length} bytes, which is no multiple of a ${name} block (${bytes} bytes).`);
}

function refuseIndex({ name, weights }: Format, index: number): never {
  throw new BrownianError("usage", `index must be a multiple of a ${name} block (${weights} weights), but is ${index}.`);
}

/**
 * The format called `type`; throws `unsupported-type` with the list of those that there are. `where` names the tensor, if any.
 */
export function supportedFormat(type: string, where = ""): Format {
  return formatNamed(type) ?? refuseType(type, where);
}

function refuseType(type: string, where: string): never {
  const known = FORMATS.map((f) => f.name).join(", ");
  throw new BrownianError(
    "unsupported-type",
    `${where}type ${typeof type === "string" ? type : shown(type)} cannot be moved: brownian moves ${known}.`,
  );
}

/** Sigma as the kernels use it: a float32. */
export function checkSigma(sigma: number, what = "sigma"): number {
  return Math.fround(checkNumber(what, sigma, 0, 3.4e38));
}

/** A checked move; the tick and the rounding are checked here, the rest by the callers. */
export function makeMove(format: Format, m: Omit<Move, "format" | "rounding"> & { readonly rounding: Rounding }): Move {
  checkInteger("tick", m.tick, 0, 2 ** 32 - 1);
  checkChoice("rounding", m.rounding, ROUNDINGS);
  const { sigma, inSteps, steps, rowLength, key, index, tick, columns } = m; // one by one: a spread takes a third of a microsecond
  const rounding = Rounding[m.rounding];
  return { format: encodedFormat(format), sigma, inSteps, steps, rowLength, rounding, key, index, tick, columns };
}

/** The steps of a format that has no scales of its own, null for all others. */
function externalSteps(format: Format, step: PerturbOptions["step"]): Float32Array | null {
  if (format.lattice?.step !== "external") {
    if (step !== undefined) throw new BrownianError("usage", `step is for I8 only: ${format.name} has scales of its own.`);
    return null;
  }
  if (step === undefined) {
    throw new BrownianError(
      "usage",
      `${format.name} has no scale of its own: give step, a number or a Float32Array with one step a row.`,
    );
  }
  const steps = typeof step === "number" ? single(step) : checkArray("step (where it is no number)", step, "Float32Array");
  for (let row = 0; row < steps.length; row++) {
    const value = steps[row] as number;
    if (!(value >= 0 && value < Number.POSITIVE_INFINITY)) {
      throw new BrownianError("usage", `step must be finite and at least 0, but is ${value} in row ${row}.`);
    }
  }
  return steps;
}

let lastSingle = new Float32Array(1);

/** One step as an array, the same one as long as the step stays: kernels only read it. */
function single(step: number): Float32Array {
  if (lastSingle[0] !== Math.fround(step)) lastSingle = Float32Array.of(step);
  return lastSingle;
}

function checkedRowLength(steps: Float32Array, rowLength: number | undefined, weights: number, index: number): number {
  const length = rowLength ?? (steps.length === 1 ? Number.MAX_SAFE_INTEGER : (index + weights) / steps.length);
  checkInteger("rowLength (weights / steps.length)", length, weights === 0 ? 0 : 1);
  if (length * steps.length < index + weights) {
    throw new BrownianError(
      "usage",
      `step has ${steps.length} rows of ${length} weights, but the data reaches weight ${index + weights}.`,
    );
  }
  return length;
}
