// Sampling by noise on the logits: the bridge between softmax and moving weights. docs/guides/sampling.md derives it.
//   softmax at T:      argmax_i (z_i + T g_i), g_i independent standard Gumbel numbers
//   moving weights:    argmax_i (z_i + e_i),   e_i Gaussian and correlated: what the moved weights make of them

import { checkNumber } from "../errors.js";
import { checkArray } from "../memory.js";
import { checkStream } from "../noise/check-stream.js";
import type { At, Stream } from "../noise/index.js";
import { argmax, type Heat, inverseTemperature, type Logits } from "./softmax.js";

/** Words of 32 bits make uniforms (w + 1/2) / 2^32, which are never 0 nor 1: Gumbel numbers from -3.1 to 22.9. */
const TWO_M32 = 2 ** -32;

/**
 * Standard Gumbel numbers g = -ln(-ln u): cumulative law e^(-e^(-g)), mean 0.5772, variance pi^2 / 6 (Gumbel 1935). In float64, by the host's
 * logarithm: reproducible on one host, and between hosts up to the last bit.
 * @throws BrownianError usage for another kind of array, and as `Stream.bits`
 *
 * @example
 * const stream = new Noise(1n).stream("dice");
 * gumbel(new Float64Array(8), stream, { tick: 0 });
 */
export function gumbel(out: Float64Array, stream: Stream, at: At = {}): Float64Array {
  checkArray("out", out, "Float64Array");
  checkStream(stream);
  const words = stream.bits(new Uint32Array(out.length), at);
  for (let i = 0; i < out.length; i++) out[i] = -Math.log(-Math.log(((words[i] as number) + 0.5) * TWO_M32));
  return out;
}

/**
 * One draw from softmax(logits / T) as argmax(logits + T g) (Gumbel 1954; Maddison, Tarlow & Minka 2014). Outcome i uses element i of the stream
 * at this tick, so the same noise can be put beside other logits: how often the argmax differs then is what moved.
 * @throws BrownianError usage as `logSoftmax`
 *
 * @example
 * const token = gumbelMax([2, 1, 0], new Noise(1n).stream("dice"), { tick: 7 }, { temperature: 0.8 });
 */
export function gumbelMax(logits: Logits, stream: Stream, at: At = {}, heat: Heat = {}): number {
  const beta = inverseTemperature(heat);
  checkStream(stream);
  if (beta === Infinity) return argmax(logits);
  argmax(logits); // refuses what cannot be chosen from
  const noise = gumbel(new Float64Array(logits.length), stream, at);
  // beta z + g has the argmax of z + g / beta, and beta may be 0.
  for (let i = 0; i < noise.length; i++) {
    const z = logits[i] as number;
    noise[i] = z === -Infinity ? -Infinity : beta * z + (noise[i] as number);
  }
  return argmax(noise);
}

/**
 * argmax(logits + sigma e), e independent standard normals of the stream: "logit noise". What moving weights would be if their effects on the
 * logits were independent and equally strong.
 * @throws BrownianError usage for sigma below 0, and as `logSoftmax`
 *
 * @example
 * const token = gaussianMax([2, 1, 0], new Noise(1n).stream("dice"), { tick: 7 }, 0.5);
 */
export function gaussianMax(logits: Logits, stream: Stream, at: At = {}, sigma = 1): number {
  checkNumber("sigma", sigma, 0);
  checkStream(stream);
  argmax(logits);
  return argmax(withNoise(logits, stream.normal(new Float32Array(logits.length), at), sigma));
}

/** logits + sigma e. A plain loop: Float64Array.from with a function takes a hundred times as long. */
export function withNoise(logits: Logits, noise: Float32Array, sigma: number): Float64Array {
  const noisy = new Float64Array(logits.length);
  for (let i = 0; i < noisy.length; i++) noisy[i] = (logits[i] as number) + sigma * (noise[i] as number);
  return noisy;
}
