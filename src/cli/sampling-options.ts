// The flags of the dice at the output, with the names of the library's options.

import { type Command, InvalidArgumentError, Option } from "commander";
import { BrownianError } from "../errors.js";
import { readTextFile } from "../files/text.js";
import { jsonGrammar, type SamplingOptions } from "../llama/index.js";
import { withoutEffect } from "../llama/sampling.js";
import { parseNumber, parseWhole } from "./options.js";

export interface SamplingFlags extends Omit<SamplingOptions, "logitBias" | "drySequenceBreakers"> {
  readonly logitBias?: (readonly [number | string, number])[];
  readonly drySequenceBreaker?: string[];
  readonly stop?: string[];
  readonly grammarFile?: string;
  readonly jsonSchema?: string;
}

type Name = Exclude<keyof SamplingOptions, "drySequenceBreakers">;

/** Those that act where the likeliest token is taken, too; the others choose among tokens. */
const ALWAYS: readonly Name[] = [
  ...(["repeatPenalty", "repeatLastN", "frequencyPenalty", "presencePenalty", "dryMultiplier", "dryBase"] as const),
  ...(["dryAllowedLength", "dryPenaltyLastN", "logitBias", "grammar", "stop"] as const),
];
const DICE: readonly Name[] = [
  ...(["temperature", "topK", "topP", "minP", "typicalP", "topNSigma", "xtcProbability", "xtcThreshold"] as const),
  ...(["dynatempRange", "dynatempExponent", "mirostat", "mirostatTau", "mirostatEta"] as const),
];

const flag = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function collect(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** TOKEN=BIAS or TEXT=BIAS; a text of digits in JSON's quotes. */
function collectBias(text: string, before: [number | string, number][] | undefined): [number | string, number][] {
  const at = text.lastIndexOf("=");
  if (at < 1) throw new InvalidArgumentError("It is not token=bias.");
  const [of, bias] = [text.slice(0, at), text.slice(at + 1)];
  const one: [number | string, number] = [tokenOrText(of), bias === "-inf" ? -Infinity : parseNumber(bias)];
  return [...(before ?? []), one];
}

function tokenOrText(text: string): number | string {
  if (/^\d+$/.test(text)) return Number(text);
  if (!/^".*"$/s.test(text)) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    return text;
  }
}

export function addSamplingOptions(command: Command): Command {
  return command
    .option("-t, --temperature <number>", "softmax temperature (default: 0, greedy)", parseNumber)
    .option("--top-k <n>", "sample from the k likeliest tokens only", parseWhole)
    .option("--top-p <p>", "sample from the likeliest tokens of total probability p only", parseNumber)
    .option("--min-p <p>", "sample from tokens at least p times as likely as the likeliest only", parseNumber)
    .option("--typical-p <p>", "sample from the most typical tokens of total probability p only", parseNumber)
    .option("--top-n-sigma <n>", "sample from logits at most n standard deviations below the largest only", parseNumber)
    .option("--repeat-penalty <x>", "divide logits of tokens that have come, prompt included (default: 1)", parseNumber)
    .option("--frequency-penalty <x>", "subtract from a logit for every time that its token has come", parseNumber)
    .option("--presence-penalty <x>", "subtract from logits of tokens that have come", parseNumber)
    .option("--repeat-last-n <n>", "how many tokens back these penalties look; -1: all (default: 64)", parseWhole)
    .option("--dry-multiplier <x>", "DRY, against verbatim repetition; 0.8 is usual", parseNumber)
    .option("--dry-base <x>", "what DRY grows by with every repeated token (default: 1.75)", parseNumber)
    .option("--dry-allowed-length <n>", "repetitions that DRY lets pass, in tokens (default: 2)", parseWhole)
    .option("--dry-penalty-last-n <n>", "how many tokens back DRY looks; -1: all (default: 64)", parseWhole)
    .option("--dry-sequence-breaker <text>", "DRY sees no repetition across it; may be given several times", collect)
    .option("--xtc-probability <p>", "how often all likely tokens but the least likely of them are dropped", parseNumber)
    .option("--xtc-threshold <p>", "which tokens are likely, for XTC (default: 0.1)", parseNumber)
    .option("--dynatemp-range <x>", "temperature goes up and down by this with the entropy", parseNumber)
    .option("--dynatemp-exponent <x>", "the power of the entropy by which it does (default: 1)", parseNumber)
    .addOption(
      new Option("--mirostat <version>", "cut so that the surprise stays near --mirostat-tau: 1 or 2").argParser(parseWhole),
    )
    .option("--mirostat-tau <bits>", "the surprise that mirostat steers to (default: 5)", parseNumber)
    .option("--mirostat-eta <x>", "how fast it does (default: 0.1)", parseNumber)
    .option("--logit-bias <token=bias>", "add to a token's logit (text=bias: to each of its tokens'); -inf: never", collectBias)
    .option("--grammar <gbnf>", "a grammar that the text keeps to, in llama.cpp's GBNF")
    .option("--grammar-file <file>", "the same, in a file")
    .option("--json-schema <file>", "write JSON that fits this schema; as a grammar, so within what one can keep to")
    .option("--stop <text>", "end the text before this; may be given several times", collect);
}

/** What the library is told of these flags; `greedy`: of those that act where no dice are rolled. */
export function samplingSettings(flags: SamplingFlags, { greedy = false } = {}): SamplingOptions {
  const named = (greedy ? ALWAYS : [...ALWAYS, ...DICE]).filter((name) => flags[name] !== undefined);
  const settings: SamplingOptions = Object.fromEntries(named.map((name) => [name, flags[name]]));
  return flags.drySequenceBreaker === undefined ? settings : { ...settings, drySequenceBreakers: flags.drySequenceBreaker };
}

/** With the grammar of --grammar-file or --json-schema. @throws BrownianError usage, file-not-found */
export async function withGrammar<Flags extends SamplingFlags>(flags: Flags): Promise<Flags> {
  const { grammar, grammarFile, jsonSchema } = flags;
  if ([grammar, grammarFile, jsonSchema].filter((given) => given !== undefined).length > 1)
    throw new BrownianError("usage", "Give one of --grammar, --grammar-file and --json-schema: a text keeps to one grammar.");
  if (grammarFile !== undefined) return { ...flags, grammar: await readTextFile(grammarFile) };
  return jsonSchema === undefined ? flags : { ...flags, grammar: await schemaGrammar(jsonSchema) };
}

/** The grammar of the JSON schema in a file. @throws BrownianError usage, file-not-found */
export async function schemaGrammar(path: string): Promise<string> {
  const text = await readTextFile(path);
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (error) {
    throw new BrownianError("usage", `${path} is no JSON: ${(error as Error).message}.`, { cause: error });
  }
  return jsonGrammar(schema);
}

/** A line on flags that do nothing; undefined where there are none. */
export function silentFlags(flags: SamplingFlags): string | undefined {
  const names = withoutEffect(samplingSettings(flags)).map(flag);
  if (names.length === 0) return undefined;
  return `${names.join(", ")}: no effect at temperature 0, where the likeliest token is taken; give --temperature as well`;
}
