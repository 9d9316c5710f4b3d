// The dice at the output as users ask for them, checked: with the names, meanings and defaults of llama.cpp's own programs.

import type { Engine, Sampling } from "../engine/index.js";
import { BrownianError, checkInteger, checkNumber, checkObject, shown } from "../errors.js";
import { type Seed, seed64 } from "../noise/index.js";
import type { Names } from "../options.js";

/**
 * Biases by token. In a list, a text stands for each of the tokens that it is made of.
 * @example
 * const logitBias = [[" king", -Infinity], [17, 2.5]] as const; // or as OpenAI has it: { 17: -100 }
 * const { text } = await model.complete("Once upon a time", { logitBias });
 */
export type LogitBias = readonly (readonly [tokenOrText: number | string, bias: number])[] | Readonly<Record<number, number>>;

/**
 * The dice at the output. What is left out does nothing. First `logitBias`, penalties and DRY change the logits of single tokens; then topNSigma,
 * topK, typicalP, topP, minP and XTC drop tokens, in this order; then the temperature, and a draw. A grammar is kept to whatever these say. All but
 * temperature, topK, topP, minP, penalties, XTC, grammar and stop need the engine llama-c.
 */
export interface SamplingOptions {
  /**
   * Softmax temperature of the engine; default 0, greedy. Combines with moving weights. At 0 the likeliest token is taken after all that changes
   * logits; topK, topP, minP and topNSigma cannot act there.
   */
  readonly temperature?: number | undefined;
  /** Softmax samples from the k likeliest tokens only; default 0, all of them. */
  readonly topK?: number | undefined;
  /** Softmax samples from the likeliest tokens of total probability p only; default 1, all of them. */
  readonly topP?: number | undefined;
  /** Softmax samples from tokens at least p times as likely as the likeliest only; default 0, all of them. */
  readonly minP?: number | undefined;
  /** Samples from the tokens of total probability p whose surprise is nearest to the entropy only; default 1, all (Meister et al. 2023). */
  readonly typicalP?: number | undefined;
  /** Samples from tokens whose logits lie at most n standard deviations of all logits below the largest only; default 0, all. */
  readonly topNSigma?: number | undefined;
  /**
   * Logits of tokens that have come, prompt included, are divided by it where they are above 0, and multiplied where below; above 1 is against
   * repetition; 0.01 to 100, default 1.
   */
  readonly repeatPenalty?: number | undefined;
  /** How many tokens back the three penalties look: -1 all, default 64. */
  readonly repeatLastN?: number | undefined;
  /** Subtracted from a token's logit for every time that it has come among these; -100 to 100, default 0. */
  readonly frequencyPenalty?: number | undefined;
  /** Subtracted once from the logit of every token that has come among these; -100 to 100, default 0. */
  readonly presencePenalty?: number | undefined;
  /**
   * Against verbatim repetition (DRY): a token that would go on with a sequence of n tokens that has come before loses
   * dryMultiplier * dryBase^(n - dryAllowedLength), for n of dryAllowedLength or more; default 0, nothing.
   */
  readonly dryMultiplier?: number | undefined;
  /** From 1 on; default 1.75. */
  readonly dryBase?: number | undefined;
  /** At least 1 token; default 2. */
  readonly dryAllowedLength?: number | undefined;
  /** How many tokens back it looks: -1 all, default 64. */
  readonly dryPenaltyLastN?: number | undefined;
  /** Texts that no repetition reaches across, 40 bytes at most; default newline, colon, double quote and asterisk. */
  readonly drySequenceBreakers?: readonly string[] | undefined;
  /** With this probability (at every token), all tokens of at least `xtcThreshold` but the least likely of them are dropped; default 0. */
  readonly xtcProbability?: number | undefined;
  /** 0 to 0.5: above, no two tokens can reach it; default 0.1. */
  readonly xtcThreshold?: number | undefined;
  /**
   * The temperature goes from T - range (not below 0) where the next token is certain to T + range where all are equally likely; default 0.
   */
  readonly dynatempRange?: number | undefined;
  /** The power of entropy / largest entropy by which it goes; default 1. */
  readonly dynatempExponent?: number | undefined;
  /** 1 or 2: the version of mirostat that cuts instead of topK and all the others (Basu et al. 2021); default 0, none. Penalties act before it. */
  readonly mirostat?: 0 | 1 | 2 | undefined;
  /** The surprise that it steers to, in bits a token; default 5. */
  readonly mirostatTau?: number | undefined;
  /** How fast, 0 to 1; default 0.1. */
  readonly mirostatEta?: number | undefined;
  /** Added to the logits of tokens: in nats, -Infinity forbids one. */
  readonly logitBias?: LogitBias | undefined;
  /** A grammar in llama.cpp's GBNF: the text is what its rule `root` allows. The prompt does not count. */
  readonly grammar?: string | undefined;
  /** Strings that end the text: what is written ends before the first of them (`Generation.stop` is "stop"). */
  readonly stop?: string | readonly string[] | undefined;
}

/** The names of {@link SamplingOptions}. */
export const SAMPLING: Names<SamplingOptions> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  typicalP: true,
  topNSigma: true,
  repeatPenalty: true,
  repeatLastN: true,
  frequencyPenalty: true,
  presencePenalty: true,
  dryMultiplier: true,
  dryBase: true,
  dryAllowedLength: true,
  dryPenaltyLastN: true,
  drySequenceBreakers: true,
  xtcProbability: true,
  xtcThreshold: true,
  dynatempRange: true,
  dynatempExponent: true,
  mirostat: true,
  mirostatTau: true,
  mirostatEta: true,
  logitBias: true,
  grammar: true,
  stop: true,
};

/** Beside the dice: what chooses instead of them, and their seed. */
interface Surroundings {
  readonly pick?: unknown;
  readonly endless?: boolean | undefined;
  readonly seed?: Seed | undefined;
}

type Vocabulary = Pick<Engine, "tokenize" | "text" | "beginning">;

const MOST_INTEGER = 2 ** 31 - 1;
const DRY_BREAKERS = ["\n", ":", '"', "*"];
/** llama.cpp reads no more of a breaker. */
const BREAKER_BYTES = 40;

type Name = keyof SamplingOptions;

/** Of every option: what it is when it does nothing. */
const RESTING: Partial<Record<Name, number>> = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  typicalP: 1,
  topNSigma: 0,
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  dryMultiplier: 0,
  xtcProbability: 0,
  dynatempRange: 0,
  mirostat: 0,
};

/** Options that say how another one acts. */
const DEPENDENT: readonly (readonly [name: Name, one: readonly Name[]])[] = [
  ["repeatLastN", ["repeatPenalty", "frequencyPenalty", "presencePenalty"]],
  ...(["dryBase", "dryAllowedLength", "dryPenaltyLastN", "drySequenceBreakers"] as const).map(
    (name) => [name, ["dryMultiplier"]] as const,
  ),
  ["xtcThreshold", ["xtcProbability"]],
  ["dynatempExponent", ["dynatempRange"]],
  ["mirostatTau", ["mirostat"]],
  ["mirostatEta", ["mirostat"]],
];

const CUTS = [
  "topK",
  "topP",
  "minP",
  "typicalP",
  "topNSigma",
  "xtcProbability",
  "dynatempRange",
] as const satisfies readonly Name[];
const WITHOUT_EFFECT_AT_ZERO = ["topK", "topP", "minP", "topNSigma"] as const satisfies readonly Name[];

const acts = (options: SamplingOptions, name: Name): boolean => options[name] !== undefined && options[name] !== RESTING[name];

/** The options that cannot act, since the likeliest token is taken whatever they say. */
export function withoutEffect(options: SamplingOptions): Name[] {
  if (acts(options, "temperature") || acts(options, "typicalP") || acts(options, "xtcProbability")) return [];
  return WITHOUT_EFFECT_AT_ZERO.filter((name) => acts(options, name));
}

/** The engine's sampling that these options ask for. @throws BrownianError usage */
export function samplingOf(options: SamplingOptions & Surroundings, engine: Vocabulary): Sampling {
  refuseContradictions(options);
  const { temperature = 0, topK = 0, topP = 1, minP = 0, seed = 0, endless = false, grammar } = options;
  const whole = seed64(seed);
  if (grammar !== undefined) checkGrammar(grammar);
  const typicalP = checkNumber("typicalP", options.typicalP ?? 1, 0, 1);
  const topNSigma = checkNumber("topNSigma", options.topNSigma ?? 0, 0, 1e6);
  return {
    yieldEogToken: endless,
    temperature: checkNumber("temperature", temperature, 0, 1e6),
    topK: checkInteger("topK", topK, 0, MOST_INTEGER),
    topP: checkNumber("topP", topP, 0, 1),
    minP: checkNumber("minP", minP, 0, 1),
    seed: Number(BigInt.asUintN(32, whole ^ (whole >> 32n))),
    logitBias: biases(options.logitBias, engine),
    penalties: penalties(options),
    dry: dry(options),
    topNSigma: topNSigma > 0 ? topNSigma : undefined,
    typicalP: typicalP < 1 ? typicalP : undefined,
    xtc: xtc(options),
    dynamicTemperature: dynamicTemperature(options),
    mirostat: mirostat(options),
    grammar,
  };
}

/** What llama.cpp's reader of grammars does not survive is refused here; the rest is its own to refuse. */
function checkGrammar(grammar: unknown): void {
  if (typeof grammar !== "string" || grammar.trim() === "" || grammar.includes("\0"))
    throw new BrownianError("usage", 'grammar must be a text in GBNF, such as root ::= "yes" | "no".');
  const bare = grammar.replace(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|#.*/g, " ");
  for (const [all, least, most] of bare.matchAll(/\{\s*(\d+)\s*,\s*(\d+)\s*\}/g))
    if (Number(most) < Number(least))
      // it would repeat for ever
      throw new BrownianError(
        "usage",
        `grammar asks for a repetition ${all}, at most fewer times than at least: turn the two around.`,
      );
}

/** The strings that end the text. @throws BrownianError usage */
export function stopsOf({ stop = [] }: SamplingOptions): readonly string[] {
  const strings: readonly unknown[] = typeof stop === "string" ? [stop] : stop;
  if (!Array.isArray(strings) || !strings.every((string) => typeof string === "string" && string !== ""))
    throw new BrownianError("usage", "stop must be a string that ends the text, or a list of such, none of them empty.");
  return strings as readonly string[];
}

function refuseContradictions(options: SamplingOptions & Surroundings): void {
  const { pick, stop: _, ...others } = options;
  const names = [...(Object.keys(RESTING) as Name[]), "logitBias", "grammar"] as const;
  const acting = names.filter((name) => acts(others, name));
  if (pick !== undefined && acting.length > 0)
    throw new BrownianError("usage", `Give pick, or ${acting.join(", ")}: pick chooses instead of the engine's dice.`);
  for (const [name, ones] of DEPENDENT)
    if (options[name] !== undefined && ones.every((one) => options[one] === undefined))
      throw new BrownianError(
        "usage",
        `${name} says how ${ones.join(", ")} acts: give ${ones.length > 1 ? "one of these" : "that"} as well.`,
      );
  const steered = (["mirostat", "dynatempRange"] as const).find((name) => acts(options, name));
  if (steered !== undefined && !acts(options, "temperature"))
    throw new BrownianError(
      "usage",
      `${steered} cannot act at temperature 0, where the likeliest token is taken: give a temperature as well.`,
    );
  const cut = CUTS.find((name) => acts(options, name));
  if (acts(options, "mirostat") && cut !== undefined)
    throw new BrownianError("usage", `mirostat chooses what is cut, instead of ${cut}: give one of the two.`);
}

function biases(given: LogitBias | undefined, engine: Vocabulary): Sampling["logitBias"] {
  if (given === undefined) return undefined;
  const byToken = new Map<number, number>();
  const entries: readonly (readonly [unknown, unknown])[] = Array.isArray(given)
    ? given
    : Object.entries(checkObject("logitBias", given)).map(([token, bias]) => [token === "" ? Number.NaN : Number(token), bias]);
  for (const entry of entries) {
    if (!Array.isArray(entry) || entry.length !== 2)
      throw new BrownianError("usage", "logitBias must be a list of [token or text, bias], or an object of biases by token.");
    const [of, bias] = entry as [unknown, unknown];
    if (bias !== -Infinity) checkNumber(`logitBias of ${shown(of)}`, bias, -1e6, 1e6);
    for (const token of tokensOf(of, engine)) byToken.set(token, bias as number);
  }
  return byToken.size === 0 ? undefined : [...byToken];
}

function tokensOf(of: unknown, engine: Vocabulary): readonly number[] {
  if (typeof of !== "string") return [checkInteger("A token of logitBias", of, 0, MOST_INTEGER)];
  if (of === "") throw new BrownianError("usage", "A text of logitBias is empty: give the text whose tokens are meant.");
  const tokens = (text: string) => engine.tokenize(text).slice(engine.beginning === null ? 0 : 1);
  // Some tokenizers put a space before every text: to these " king" would be a space and " king".
  const without = of.length > 1 && of.startsWith(" ") ? tokens(of.slice(1)) : [];
  return without.length > 0 && engine.text(without, tokens("a")) === of ? without : tokens(of);
}

function penalties(options: SamplingOptions): Sampling["penalties"] {
  const last = checkInteger("repeatLastN", options.repeatLastN ?? 64, -1, MOST_INTEGER);
  const repeat = checkNumber("repeatPenalty", options.repeatPenalty ?? 1, 0.01, 100);
  const frequency = checkNumber("frequencyPenalty", options.frequencyPenalty ?? 0, -100, 100);
  const presence = checkNumber("presencePenalty", options.presencePenalty ?? 0, -100, 100);
  const off = last === 0 || (repeat === 1 && frequency === 0 && presence === 0);
  return off ? undefined : { last, repeat, frequency, presence };
}

function dry(options: SamplingOptions): Sampling["dry"] {
  const multiplier = checkNumber("dryMultiplier", options.dryMultiplier ?? 0, 0, 1e6);
  const base = checkNumber("dryBase", options.dryBase ?? 1.75, 1, 1e6);
  const allowedLength = checkInteger("dryAllowedLength", options.dryAllowedLength ?? 2, 1, MOST_INTEGER);
  const last = checkInteger("dryPenaltyLastN", options.dryPenaltyLastN ?? 64, -1, MOST_INTEGER);
  const breakers = options.drySequenceBreakers ?? DRY_BREAKERS;
  const good = (text: unknown) =>
    typeof text === "string" && text !== "" && new TextEncoder().encode(text).length <= BREAKER_BYTES;
  if (!Array.isArray(breakers) || !breakers.every(good))
    throw new BrownianError(
      "usage",
      `drySequenceBreakers must be a list of texts, none of them empty or longer than ${BREAKER_BYTES} bytes.`,
    );
  return multiplier === 0 || last === 0 ? undefined : { multiplier, base, allowedLength, last, breakers };
}

function xtc(options: SamplingOptions): Sampling["xtc"] {
  const probability = checkNumber("xtcProbability", options.xtcProbability ?? 0, 0, 1);
  const threshold = checkNumber("xtcThreshold", options.xtcThreshold ?? 0.1, 0, 0.5);
  return probability === 0 ? undefined : { probability, threshold };
}

function dynamicTemperature(options: SamplingOptions): Sampling["dynamicTemperature"] {
  const range = checkNumber("dynatempRange", options.dynatempRange ?? 0, 0, 1e6);
  const exponent = checkNumber("dynatempExponent", options.dynatempExponent ?? 1, 0, 1e3);
  return range === 0 ? undefined : { range, exponent };
}

function mirostat(options: SamplingOptions): Sampling["mirostat"] {
  const version = checkInteger("mirostat", options.mirostat ?? 0, 0, 2);
  const tau = checkNumber("mirostatTau", options.mirostatTau ?? 5, 0, 1e3);
  const eta = checkNumber("mirostatEta", options.mirostatEta ?? 0.1, 0, 1);
  return version === 0 ? undefined : { version: version as 1 | 2, tau, eta };
}
