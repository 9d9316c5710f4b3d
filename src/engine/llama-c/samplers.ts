// The chain of llama.cpp's samplers that a sampling asks for, in the order of llama.cpp's own programs: what changes single logits first, then
// what drops tokens, then the temperature and the dice.

import { COLDEST, engineSeed } from "../dice.js";
import type { Sampling } from "../interface.js";
import type { SamplerEntry } from "./addon.js";

/** Tokens of a softmax with fewer are not seen at all: llama.cpp's typical sampler computes 0 ln 0 of what others have forbidden. */
const IMPOSSIBLE = 1e-37;

/** By what part a float32 is less than the one above it, at most. */
const SHORT_OF = 2 ** -23;

/** What remembers nothing of a text but is in the chain for each of its tokens, and what the model is. */
export interface Surroundings {
  /** Tokens of the vocabulary. */
  readonly vocabulary: number;
  /** Tokens that a text may have: how far back "all of them" looks. */
  readonly contextSize: number;
}

/** The chain, whose last sampler chooses. With no more than temperature, topK, topP and minP it is node-llama-cpp's: a seed is a text with either. */
export function samplersOf(sampling: Sampling, { vocabulary, contextSize }: Surroundings): SamplerEntry[] {
  const { topK, topP, minP, typicalP, topNSigma, xtc, mirostat } = sampling;
  const list = changes(sampling, contextSize);
  const greedy = sampling.temperature < COLDEST;
  // The likeliest token outlives every cut but these two, which may take it away before it is chosen.
  if (greedy && typicalP === undefined && xtc === undefined) return [...list, ["greedy"]];
  const seed = engineSeed(sampling.seed);
  if (mirostat !== undefined) {
    const name = mirostat.version === 1 ? "mirostat" : "mirostatV2";
    return [...list, ["temperature", sampling.temperature], [name, seed, mirostat.tau, mirostat.eta]];
  }
  if (topNSigma !== undefined) list.push(["topNSigma", topNSigma]);
  list.push(["topK", topK <= 0 ? vocabulary : Math.min(topK, vocabulary)]);
  if (typicalP !== undefined) list.push(["minP", IMPOSSIBLE], ["typical", typicalP]);
  list.push(["topP", topP]);
  if (minP > 0) list.push(["minP", minP]);
  if (xtc !== undefined) list.push(["xtc", xtc.probability, xtc.threshold, seed]);
  return greedy ? [...list, ["greedy"]] : [...list, temperatureOf(sampling), diceOf(sampling.seed)];
}

/** What chooses where nothing else is asked for: a draw from softmax. */
export const diceOf = (seed: number): SamplerEntry => ["dist", engineSeed(seed)];

function changes({ grammar, logitBias, penalties, dry }: Sampling, contextSize: number): SamplerEntry[] {
  const list: SamplerEntry[] = [];
  const within = (last: number) => (last < 0 ? contextSize : Math.min(last, contextSize));
  if (grammar !== undefined) list.push(["grammar", grammar, "root"]);
  if (logitBias !== undefined)
    list.push(["logitBias", Int32Array.from(logitBias, ([token]) => token), Float32Array.from(logitBias, ([, bias]) => bias)]);
  if (penalties !== undefined)
    list.push(["penalties", within(penalties.last), penalties.repeat, penalties.frequency, penalties.presence]);
  if (dry !== undefined) list.push(["dry", dry.multiplier, dry.base, dry.allowedLength, within(dry.last), dry.breakers]);
  return list;
}

function temperatureOf({ temperature, dynamicTemperature }: Sampling): SamplerEntry {
  if (dynamicTemperature === undefined) return ["temperature", temperature];
  const { range, exponent } = dynamicTemperature;
  if (Math.fround(temperature) - Math.fround(range) >= COLDEST) return ["dynamicTemperature", temperature, range, exponent];
  // From 0 up llama.cpp passes temperatures that logits cannot be divided by. The same span begins a rounding above 0 with a range just below its
  // middle.
  const middle = Math.fround((temperature + range) / 2);
  const below = middle * (1 - SHORT_OF);
  return middle - below >= COLDEST ? ["dynamicTemperature", middle, below, exponent] : ["temperature", COLDEST];
}
