// How moving weights remember, measured on a live file: the moves of real weights at tick t beside those at the first tick that is looked at, and
// what the dynamics itself says. Knows no dynamics by name.
//   C(t) = sum k(0) k(t) / sqrt(sum k(0)^2 sum k(t)^2),  V(t) = sum k(t)^2 / sum s^2,  k = live - pristine in weight units

import { checkInteger } from "../errors.js";
import type { Tensor } from "../files/index.js";
import { TensorBytes } from "../files/tensor-bytes.js";
import { decode } from "../lattice/decode.js";
import { supportedFormat } from "../lattice/perturb.js";
import { DEFAULT_TAU } from "../thermostat/noise.js";
import { Thermostat, type ThermostatOptions } from "../thermostat/thermostat.js";

/** Weights of one tensor that are looked at, at most: a correlation of so many is known to 1/4000, and some tensors are larger than memory. */
const LOOKED = 2 ** 24;

/** What was seen at one tick. */
export interface Remembered {
  /** Ticks since the motion began; one is a token. */
  readonly tick: number;
  /** Correlation of the moves with those of the first tick, between -1 and 1; 0 where weights are at rest in either. */
  readonly correlation: number;
  /** Mean square of the moves, by that of the last draw's sigma: 1 where the variance is what was asked for. */
  readonly variance: number;
  /** What the dynamics says of both (`Dynamics.theory`), far from rails. */
  readonly theory: {
    /** Between -1 and 1. */
    readonly correlation: number;
    /** In the unit of `variance` above. */
    readonly variance: number;
  };
}

export interface AutocorrelationOptions extends ThermostatOptions {
  readonly sigma: number;
  /** To be looked at: whole numbers, rising, from 0 on. */
  readonly ticks: readonly number[];
  /** Weights to look at, at least; tensors are taken whole (of very large ones the beginning), the largest first. Default a million. */
  readonly weights?: number;
}

/**
 * The autocorrelation and variance of the weights of `path` in motion, beside what the dynamics says of them. The tensors looked at are the only
 * ones that move. sigma is in units of their RMS, ticks and tau are tokens.
 * @throws BrownianError usage for ticks that do not rise, and as `Thermostat.open`
 *
 * @example
 * const curve = await autocorrelation("model.gguf", { sigma: 0.05, dynamics: "langevin", tau: 8, ticks: [0, 4, 8, 16] });
 */
export async function autocorrelation(path: string, options: AutocorrelationOptions): Promise<Remembered[]> {
  const { ticks, sigma, weights = 1e6, ...settings } = options;
  const { tau = DEFAULT_TAU, stride, signal } = settings;
  for (const [i, tick] of ticks.entries()) checkInteger("ticks", tick, i === 0 ? 0 : (ticks[i - 1] as number) + 1);
  const bath = await Thermostat.open(path, { ...settings, scale: "rms", skipUnsupported: true, sigma: 0 });
  try {
    const { theory } = bath.dynamics;
    const looked = largest(bath.tensors, weights);
    const pristine = await weightsOf(bath.liveParts, looked);
    let asked = 0;
    for (const tensor of pristine) asked += sigma ** 2 * product(tensor, tensor);
    bath.configure({ sigma, only: looked.map((tensor) => tensor.name) });
    await bath.start({ signal });
    const from = ticks[0] ?? 0;
    let first: { readonly moves: readonly Float32Array[]; readonly square: number } | undefined;
    let now = 0;
    const curve: Remembered[] = [];
    for (const tick of ticks) {
      for (; now < tick; now++) await bath.tick({ signal });
      const moves = await weightsOf(bath.liveParts, looked);
      for (const [i, live] of moves.entries()) subtract(live, pristine[i] as Float32Array);
      const own = total(moves, moves);
      first ??= { moves, square: own };
      const size = Math.sqrt(first.square * own);
      const correlation = size === 0 ? 0 : total(first.moves, moves) / size;
      const correlated = theory.correlation(tick - from, tau, from, stride);
      const expected = { correlation: correlated, variance: theory.variance(tick, tau) };
      curve.push({ tick, correlation, variance: own / asked, theory: expected });
    }
    return curve;
  } finally {
    await bath.close();
  }
}

function largest(tensors: readonly Tensor[], weights: number): Tensor[] {
  const taken: Tensor[] = [];
  let sum = 0;
  for (const tensor of [...tensors].sort((a, b) => b.weights - a.weights)) {
    if (sum >= weights) break;
    taken.push(tensor);
    sum += tensor.weights;
  }
  return taken;
}

async function weightsOf(paths: readonly string[], tensors: readonly Tensor[]): Promise<Float32Array[]> {
  const file = await TensorBytes.open(paths);
  try {
    const all: Float32Array[] = [];
    for (const tensor of tensors) {
      const format = supportedFormat(tensor.type, `tensor ${tensor.name}: `);
      const blocks = Math.min(tensor.bytes / format.bytes, Math.ceil(LOOKED / format.weights));
      const data = new Uint8Array(blocks * format.bytes);
      await file.read(tensor, data);
      all.push(decode(format, data));
    }
    return all;
  } finally {
    await file.close();
  }
}

/** a := a - b, in float32. */
function subtract(a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < a.length; i++) a[i] = (a[i] as number) - (b[i] as number);
}

function product(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

function total(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return a.reduce((sum, tensor, i) => sum + product(tensor, b[i] as Float32Array), 0);
}
