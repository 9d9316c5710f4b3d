// How sure a model is of every token of a text, and how far that is a matter of its weights: an ensemble of moved
// weights reads the text, each member once, teacher-forced.

import type { Expectation, Sampling } from "../engine/index.js";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { type EnsembleEntropy, ensembleEntropy } from "../sampling/uncertainty.js";
import { type CheckedNoise, NOISE, noiseOf } from "../thermostat/noise.js";
import { isChat, type Prompt } from "./chat.js";
import { checkTokens } from "./read.js";
import { SAMPLING, samplingOf, stopsOf } from "./sampling.js";
import type { Session } from "./session.js";
import { StopStrings } from "./stop-strings.js";
import { TextStream } from "./text-stream.js";
import type { GenerateOptions, OnlyWritten } from "./write.js";

/** Which ensemble of moved weights reads a text, and which text. */
export interface UncertaintyOptions
  extends Omit<GenerateOptions, OnlyWritten | "sigma" | "dynamics" | "tau" | "stride" | "subspace"> {
  /** Draws of the weights; default 8. */
  readonly members?: number | undefined;
  /** Noise on the weights in units of `scale`; default 0.05. */
  readonly sigma?: number | undefined;
  /** What follows the prompt, as text or as tokens; default: what the clean model writes. */
  readonly text?: string | readonly number[] | undefined;
  /** Called with members that have read the text, and members in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

const NAMES: Names<UncertaintyOptions> = {
  ...NOISE,
  carrier: true,
  rank: true,
  member: true,
  ...SAMPLING,
  maxTokens: true,
  signal: true,
  members: true,
  text: true,
  onProgress: true,
};

/** A token of a text, and how sure an ensemble of moved weights was that it would come; entropies in nats. */
export interface UncertainToken extends EnsembleEntropy {
  /** Its number in the vocabulary. */
  readonly token: number;
  /**
   * As it reads on; empty for a part of a character, whose last token has it. Where nothing comes before a text, not even a token that begins
   * texts, nothing was expected of its first token: the second has its letters, too.
   */
  readonly text: string;
  /** Of this token, by the mean prediction, 0 to 1. */
  readonly probability: number;
}

/** A text, and how sure an ensemble of moved weights was of each of its tokens. */
export interface Uncertainty {
  /** The text, without the prompt. */
  readonly text: string;
  /** In the order of the text. */
  readonly tokens: readonly UncertainToken[];
  /** Draws of the weights that read it. */
  readonly members: number;
}

/** Probabilities that are added up at a time: 256 MB of them. Members read a longer text several times, each time a little further. */
const MOST_SUMS = 2 ** 26;

const DEFAULT_ENSEMBLE = { members: 8, sigma: 0.05 };

/** Of the draws of an ensemble: the first has the seed itself. */
const memberSeed = (seed: bigint, member: number): bigint => BigInt.asUintN(64, seed + BigInt(member) * 0x9e3779b97f4a7c15n);

/** Adapters have numbers, as those that `brownian adapter` writes. */
function memberOf(noise: CheckedNoise, member: number): CheckedNoise {
  const { carrier, seed } = noise;
  return noise.with(carrier === undefined ? { seed: memberSeed(seed, member) } : { member: carrier.member + member });
}

/** {@link Model.uncertainty}. */
export async function uncertainty(session: Session, prompt: Prompt, options: UncertaintyOptions): Promise<Uncertainty> {
  isChat(prompt); // refuses what is no prompt
  const { signal, onProgress } = checkOptions("uncertainty", options, NAMES);
  const members = checkInteger("members", options.members ?? DEFAULT_ENSEMBLE.members, 1, 10_000);
  const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
  session.refuseDisposed();
  const dice: Dice = { sampling: samplingOf(options, session.engine), stops: stopsOf(options) };
  const sigma = checkNumber("sigma", options.sigma ?? DEFAULT_ENSEMBLE.sigma, 0);
  const noise = noiseOf({ ...options, sigma, dynamics: "quenched" });
  return session.during(async () => {
    const {
      tokens,
      start,
      unexpected = 0,
      length,
    } = await session.alone(async () => {
      const clean = noise.with({ sigma: 0 });
      const { text } = options;
      if (text === undefined) {
        const begun = await session.prepare(clean, { prompt, signal });
        return written(session, begun.tokens, most, dice, signal);
      }
      await session.prepare(clean, { signal });
      return given(session, prompt, text, most);
    });
    if (tokens.length === start) return { text: "", tokens: [], members };
    const each = Math.max(1, Math.floor(MOST_SUMS / session.engine.vocabulary));
    // Members without noise are one and the same.
    const different = noise.off ? 1 : members;
    const beliefs: Belief[] = [];
    const pieces = Math.ceil((tokens.length - start) / each);
    for (let piece = 0; piece < pieces; piece++) {
      const from = start + piece * each;
      const part = { tokens: tokens.slice(0, Math.min(from + each, tokens.length)), start: from };
      const onMember = (member: number) => onProgress?.(piece * different + member, pieces * different);
      beliefs.push(...(await believed(session, part, noise, different, onMember, signal)));
    }
    return session.alone(async () => {
      const stream = new TextStream(session.engine, tokens.slice(0, start - unexpected));
      const first = tokens.slice(start - unexpected, start).map((token) => stream.push(token));
      const read = tokens.slice(start).map((token, i): UncertainToken => {
        const own = stream.push(token);
        return { token, text: i === 0 ? first.join("") + own : own, ...(beliefs[i] as Belief) };
      });
      const last = read.at(-1);
      if (last !== undefined) read[read.length - 1] = { ...last, text: last.text + stream.flush() };
      const text = read.map((token) => token.text).join("");
      if (length === undefined || text.length <= length) return { text, tokens: read, members };
      const end = read.length - 1; // the token in which a stop string begins
      read[end] = { ...(read[end] as UncertainToken), text: (read[end] as UncertainToken).text.slice(0, length - text.length) };
      return { text: text.slice(0, length), tokens: read, members };
    });
  }, signal);
}

/** What an ensemble thinks of a token. */
type Belief = Omit<UncertainToken, "token" | "text">;

/** What members with this noise think of the tokens from `start` on. Their probabilities are added up where logits lie. */
async function believed(
  session: Session,
  { tokens, start }: ToRead,
  noise: CheckedNoise,
  members: number,
  onMember: (member: number) => void,
  signal: AbortSignal | undefined,
): Promise<Belief[]> {
  const count = tokens.length - start;
  const { vocabulary } = session.engine;
  const sums = new Float32Array(count * vocabulary);
  const entropies = new Float64Array(count);
  for (let member = 0; member < members; member++) {
    signal?.throwIfAborted();
    await session.alone(async () => {
      await session.prepare(memberOf(noise, member), { signal });
      const add = (i: number, { entropy }: Expectation) => {
        entropies[i - start + 1] = (entropies[i - start + 1] as number) + entropy;
      };
      await session.engine.score(tokens, { from: start - 1, sums }, add, undefined, signal);
    });
    onMember(member + 1);
  }
  return Array.from({ length: count }, (_, i) => {
    const mean = new Float64Array(vocabulary);
    for (let token = 0; token < vocabulary; token++)
      mean[token] = Math.min(1, (sums[i * vocabulary + token] as number) / members);
    // One member does not disagree with itself, however its entropy is rounded.
    const expected = members === 1 ? Number.POSITIVE_INFINITY : (entropies[i] as number) / members;
    return { probability: mean[tokens[start + i] as number] as number, ...ensembleEntropy(mean, expected) };
  });
}

/** The tokens of a text, and where what is to be expected begins. */
interface ToRead {
  readonly tokens: readonly number[];
  readonly start: number;
  /** Tokens before that are the text's, too: its first one where nothing comes before it, not even a token that begins texts. */
  readonly unexpected?: number;
  /** Where a stop string cut it: what is left of the text's letters. */
  readonly length?: number;
}

/** How the text is chosen, and what ends it. */
interface Dice {
  readonly sampling: Sampling;
  readonly stops: readonly string[];
}

/** Prompt and text. @throws BrownianError usage where there is nothing to expect, or they are longer than the context */
function given(session: Session, prompt: Prompt, text: string | readonly number[], most: number): ToRead {
  const { engine, contextSize } = session;
  const before = typeof prompt === "string" ? engine.tokenize(prompt) : session.promptTokens(prompt);
  const all =
    typeof prompt === "string" && typeof text === "string" && prompt !== ""
      ? engine.tokenize(prompt + text)
      : [
          ...before,
          ...(typeof text === "string" ? engine.tokensOf(text, false) : checkTokens(session, "A token of the text", text)),
        ];
  // Where the tokenizer draws the last token of the prompt and the first of the text into one, that counts as the text's.
  let start = 0;
  while (start < before.length && before[start] === all[start]) start++;
  const unexpected = start === 0 ? 1 : 0;
  start += unexpected;
  const tokens = all.slice(0, start + most);
  if (tokens.length <= start) throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
  if (tokens.length > contextSize)
    throw new BrownianError(
      "usage",
      `Prompt and text have ${tokens.length} tokens, but the context holds ${contextSize}: shorten them, or read fewer (maxTokens).`,
    );
  return { tokens, start, unexpected };
}

/** The prompt, and what the weights that are loaded write after it. */
async function written(
  { engine, text, contextSize }: Session,
  prompt: readonly number[],
  most: number,
  { sampling, stops }: Dice,
  signal: AbortSignal | undefined,
): Promise<ToRead> {
  const start = prompt.length;
  const tokens = [...prompt];
  const stream = new TextStream(engine, prompt);
  const stop = new StopStrings(stops);
  /** The letters before each token. */
  const before: number[] = [];
  let letters = 0;
  let shown = 0;
  const pieces = text.continue(prompt, sampling, { signal });
  const room = Math.min(most, contextSize - prompt.length);
  try {
    while (tokens.length < prompt.length + room) {
      signal?.throwIfAborted();
      const next = await pieces.next();
      if (next.done) break;
      tokens.push(next.value);
      before.push(letters);
      const piece = stream.push(next.value);
      letters += piece.length;
      shown += stop.push(piece).length;
      if (stop.found !== undefined)
        return { tokens: tokens.slice(0, start + before.filter((n) => n < shown).length), start, length: shown };
    }
  } finally {
    await pieces.return(undefined);
  }
  return { tokens, start };
}
