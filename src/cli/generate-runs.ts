// The texts that brownian generate is to write: with which sigma, which seed, and what each is called.

import type { GenerateOptions, SamplingOptions } from "../llama/index.js";
import { significant } from "../report/table.js";
import { SCALES } from "../thermostat/scales/index.js";
import { ANNEALING, DEFAULT_SIGMA, type Options } from "./generate-options.js";
import { given } from "./inputs.js";
import { noiseSettings } from "./options.js";
import { samplingSettings } from "./sampling-options.js";

/** One text to write. */
export interface Run {
  readonly label: string;
  /** At the beginning. */
  readonly sigma: number;
  readonly options: GenerateOptions;
}

/** What is put side by side unless told otherwise: about one token in ten, five and three differs (models/README.md). */
const SIDE_BY_SIDE_SIGMAS = [0.05, 0.1, 0.2];
const SIDE_BY_SIDE_TEMPERATURE = 0.8;

/** The texts of a plain run: each sigma with each seed. */
export function samples(options: Options, seed: bigint): Run[] {
  const sigmas = options.sigma ?? [DEFAULT_SIGMA];
  return sigmas.flatMap((sigma) =>
    seeds(seed, options.samples).map((one) => moving(options, sigma, one, samplingSettings(options))),
  );
}

/** The texts of a side-by-side run: without noise, with dice at the output, with moving weights. */
export function comparison(options: Options, seed: bigint): Run[] {
  const temperature = options.temperature ?? SIDE_BY_SIDE_TEMPERATURE;
  const greedy = samplingSettings(options, { greedy: true });
  const clean: Run = { label: "greedy", sigma: 0, options: { ...greedy, seed } };
  const softmax = seeds(seed, options.samples).map(
    (one): Run => ({
      label: `T = ${significant(temperature)}, seed ${one}`,
      sigma: 0,
      options: { ...samplingSettings(options), temperature, seed: one },
    }),
  );
  const sigmas = options.sigma ?? SIDE_BY_SIDE_SIGMAS;
  const weights = sigmas.flatMap((sigma, i) =>
    seeds(seed + BigInt(i * options.samples), options.samples).map((one) => moving(options, sigma, one, greedy)),
  );
  return [clean, ...softmax, ...weights];
}

function moving(options: Options, sigma: number, seed: bigint, sampling: SamplingOptions): Run {
  const { carrier, rank, member, subspace } = options;
  const { dynamics, promptWeights, promptCache, tau, stride, recompute } = options;
  const times = tau === undefined ? "" : `(${significant(tau)})`;
  const how = dynamics === "quenched" ? "" : `, ${dynamics}${times}`;
  const end = options.sigmaEnd ?? sigma / 10;
  const anneal = options.anneal && ANNEALING[options.anneal](sigma, end, options.maxTokens);
  const dice = sampling.temperature ? `, T = ${significant(sampling.temperature)}` : "";
  const { unit } = SCALES[options.scale];
  const by = carrier === "adapter" ? `, rank ${rank ?? 1}${member === undefined ? "" : `, member ${member}`}` : "";
  return {
    label: `σ = ${significant(sigma)}${anneal ? ` to ${significant(end)}` : ""}${unit}${how}${by}${dice}, seed ${seed}`,
    sigma,
    options: {
      ...sampling,
      ...noiseSettings(options),
      sigma: anneal ?? sigma,
      ...given({ carrier, rank, member, subspace }),
      dynamics,
      promptWeights,
      promptCache,
      tau,
      stride,
      recompute,
      seed,
    },
  };
}

function seeds(first: bigint, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) => first + BigInt(i));
}
