// From the fields of a request to what is to be written.

import { randomInt } from "node:crypto";
import type { GenerateOptions, Prompt } from "../llama/index.js";
import type { DynamicsName } from "../thermostat/dynamics/index.js";
import { ApiError } from "./errors.js";
import { type CommonBody, DICE } from "./fields.js";
import type { Ask, Format } from "./writer.js";

/** How texts are written unless a request says otherwise. */
export interface Defaults {
  /** Noise on the weights; default 0. */
  readonly sigma?: number | undefined;
  readonly weightTemperature?: number | undefined;
  readonly dynamics?: DynamicsName | undefined;
  readonly tau?: number | undefined;
  /** Of softmax; default 1, as OpenAI's, where the weights are at rest, and 0 where they move: one source of variety at a time. */
  readonly temperature?: number | undefined;
  /** Tokens that no answer may be longer than; default: as many as the context has room for. */
  readonly maxTokens?: number | undefined;
}

const LARGEST_SEED = 2 ** 32;
const OPENAI_TEMPERATURE = 1;

/** What all kinds of requests have in common. */
export interface Wish {
  readonly prompt: Prompt;
  readonly chat?: Ask["chat"];
  readonly toolChoice?: unknown;
  /** Tokens to write at most; undefined: as many as there is room for. */
  readonly maxTokens: number | undefined;
  readonly logprobs: number | undefined;
  readonly format?: Format | undefined;
}

/** One ask for each of n answers, with seeds counting up: n draws of the weights where they move. @throws ApiError 400, BrownianError usage */
export function asksOf(body: CommonBody, wish: Wish, defaults: Defaults): Ask[] {
  const { weightTemperature, sigma, seed, noiseSeed } = drawOf(body, defaults);
  const moving = (sigma ?? 0) > 0 || weightTemperature !== undefined;
  const temperature = body.temperature ?? defaults.temperature ?? (moving ? 0 : OPENAI_TEMPERATURE);
  if (body.members !== undefined && body.uncertainty !== true)
    throw new ApiError(400, "members says how many draws uncertainty takes: give uncertainty: true as well.", {
      param: "members",
    });
  const format = formatOf(body.grammar, wish.format);
  const options: GenerateOptions = {
    ...Object.fromEntries(
      DICE.flatMap(([field, name]) =>
        body[field as keyof CommonBody] === undefined ? [] : [[name, body[field as keyof CommonBody]]],
      ),
    ),
    ...penalties(body),
    temperature,
    sigma,
    dynamics: (body.dynamics as DynamicsName | undefined) ?? defaults.dynamics, // others are refused by the library
    tau: body.tau ?? defaults.tau,
    logitBias: body.logit_bias as Record<number, number> | undefined,
    grammar: body.grammar,
    logprobs: wish.logprobs,
    maxTokens: Math.min(wish.maxTokens ?? Number.MAX_SAFE_INTEGER, defaults.maxTokens ?? Number.MAX_SAFE_INTEGER),
  };
  return Array.from({ length: body.n ?? 1 }, (_, i) => ({
    prompt: wish.prompt,
    chat: wish.chat ?? {},
    toolChoice: wish.toolChoice,
    format,
    options: { ...options, seed: seed + BigInt(i), noiseSeed: noiseSeed + BigInt(i) },
    weightTemperature,
    uncertainty: body.uncertainty ? { members: body.members } : undefined,
  }));
}

/** Which weights a request wants, and its dice. */
export function drawOf(body: Pick<CommonBody, "sigma" | "weight_temperature" | "seed" | "noise_seed">, defaults: Defaults) {
  const weightTemperature = body.weight_temperature ?? (body.sigma === undefined ? defaults.weightTemperature : undefined);
  const sigma = body.sigma ?? (weightTemperature === undefined ? defaults.sigma : undefined);
  const seed = BigInt(body.seed ?? randomInt(LARGEST_SEED));
  return { weightTemperature, sigma, seed, noiseSeed: body.noise_seed === undefined ? seed : BigInt(body.noise_seed) };
}

/** Penalties of 0 are left out: many clients always send them, and the library asks what a length of memory without a penalty is for. */
function penalties({ frequency_penalty, presence_penalty }: CommonBody): Partial<GenerateOptions> {
  return {
    frequencyPenalty: frequency_penalty === 0 ? undefined : frequency_penalty,
    presencePenalty: presence_penalty === 0 ? undefined : presence_penalty,
  };
}

function formatOf(grammar: string | undefined, format: Format | undefined): Format | undefined {
  if (format === undefined || format.type === "text") return undefined;
  if (grammar !== undefined) throw new ApiError(400, "Give grammar or response_format, not both.", { param: "grammar" });
  if (format.type === "json_schema" && format.schema === undefined)
    throw new ApiError(400, "response_format of the type json_schema needs a schema.", { param: "response_format" });
  return format;
}
