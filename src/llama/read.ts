// Reading: what a model expects at every token of a text that is there already, teacher-forced, with its weights clean or moved.

import type { Expectation, Followed, Kept, Seen } from "../engine/index.js";
import { BrownianError, checkFunction, checkInteger, checkList, checkNumber, checkObject, checkText } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { CARRIER, noiseOf, THERMOSTAT } from "../thermostat/noise.js";
import { isChat, type Prompt } from "./chat.js";
import type { SamplingOptions } from "./sampling.js";
import { CLEAN, type Session } from "./session.js";
import type { GenerateOptions, OnlyWritten } from "./write.js";

/** Which weights read a text, and how much of it. */
export interface ScoreOptions extends Omit<GenerateOptions, OnlyWritten | keyof SamplingOptions> {
  /** Tokens of the text to read; default all. */
  readonly maxTokens?: number | undefined;
  /**
   * Lets the dynamics go on from token to token, as while a text is written, from tick 0 at the beginning of every
   * window. Token by token, which takes longer; by default the whole text is read with the weights of tick 0.
   */
  readonly ticks?: boolean | undefined;
  /** Temperatures of softmax, above 0, whose flips are told (Expected.stays). */
  readonly temperatures?: readonly number[] | undefined;
  /** Called with what later readings of the same windows are compared with: the logits of a window, 4 bytes a token of the vocabulary each. */
  readonly keep?: ((kept: Kept, window: number) => void) | undefined;
  /** What `keep` was called with before and nobody looks at any more: its memory is used again for the first window, if that is as large. */
  readonly into?: Kept | undefined;
  /** What `keep` was called with, by window: then every token's divergence from that is told (Expected.divergence). */
  readonly reference?: readonly (Kept | undefined)[] | undefined;
}

const NAMES: Names<ScoreOptions> = {
  ...THERMOSTAT,
  ...CARRIER,
  maxTokens: true,
  signal: true,
  ticks: true,
  temperatures: true,
  keep: true,
  into: true,
  reference: true,
};

/** What a model expected at one token of a text. */
export interface Expected extends Expectation {
  /** Counts the tokens visited. */
  readonly position: number;
  /** Which of the windows it is in, from 0. */
  readonly window: number;
  /** The one that came, by its number in the vocabulary. */
  readonly token: number;
}

/** How a text is cut into windows. */
export interface WindowOptions {
  /** Tokens a window; default: as many as the context holds. */
  readonly length?: number | undefined;
  /** Tokens of the text to read; default all. */
  readonly maxTokens?: number | undefined;
}

/** {@link Model.score}. */
export async function score(
  session: Session,
  text: string | readonly (readonly number[])[],
  options: ScoreOptions,
  visit: (expected: Expected) => void,
): Promise<number> {
  const { signal, temperatures, keep, into } = checkOptions("score", options, NAMES);
  checkFunction("visit", visit);
  if (keep !== undefined) checkFunction("keep", keep);
  for (const temperature of checkList("temperatures", temperatures ?? []))
    checkNumber("temperatures", temperature, Number.MIN_VALUE);
  return session.during(async () => {
    const read =
      typeof text === "string"
        ? windows(session, text, { maxTokens: options.maxTokens })
        : checkList("text", text).map((window) => checkTokens(session, "A token of a window", window));
    const noise = noiseOf({ ...options, sigma: options.sigma ?? 0 });
    await session.alone(() => session.prepare(noise, { signal }));
    const ticking = !noise.off && options.ticks === true && noise.dynamics.moves;
    let position = 0;
    const askedOf = (window: number) => ({ temperatures, reference: options.reference?.[window], keep: keep !== undefined });
    const seen = (window: number, i: number, expectation: Expectation) =>
      visit(new Seeing(expectation, position++, window, read[window]?.[i + 1] as number));
    for (let number = 0; number < read.length; ) {
      signal?.throwIfAborted();
      if (ticking && number > 0) await session.alone(() => session.start(signal));
      const { engine } = session;
      const count = ticking ? 1 : (engine.shortTexts?.fitting(read, number) ?? 1);
      const first = number;
      const kept = await session.alone(async () => {
        if (count > 1) {
          const texts = read.slice(first, first + count);
          const asked = texts.map((_, text) => askedOf(first + text));
          return engine.shortTexts?.score(texts, asked, (text, i, expectation) => seen(first + text, i, expectation), signal);
        }
        const tick = ticking ? () => session.tick() : undefined;
        const told = (i: number, expectation: Expectation) => seen(first, i, expectation);
        return [
          await engine.score(
            read[first] as readonly number[],
            { ...askedOf(first), into: first === 0 ? into : undefined },
            told,
            tick,
            signal,
          ),
        ];
      });
      for (const [text, one] of (kept ?? []).entries()) if (one !== undefined) keep?.(one, first + text);
      number += count;
    }
    return position;
  }, signal);
}

/** An expectation and its place. Logits are handed over only when they are asked for. */
class Seeing implements Expected {
  readonly likeliest: number;
  readonly logProbability: number;
  readonly entropy: number;
  readonly stays: Float64Array;
  readonly divergence: number;

  constructor(
    private readonly expectation: Expectation,
    readonly position: number,
    readonly window: number,
    readonly token: number,
  ) {
    ({
      likeliest: this.likeliest,
      logProbability: this.logProbability,
      entropy: this.entropy,
      stays: this.stays,
      divergence: this.divergence,
    } = expectation);
  }

  get logits(): Float32Array {
    return this.expectation.logits;
  }
}

/** {@link Model.follow}. */
export async function follow(session: Session, prompt: Prompt, ids: readonly number[]): Promise<Seen[]> {
  isChat(prompt); // refuses what is no prompt
  return session.during(async () => {
    const { tokens } = await session.alone(() => session.prepare(CLEAN, { prompt }));
    const all = [...tokens, ...checkTokens(session, "A token to follow", ids)];
    if (all.length > session.contextSize)
      throw new BrownianError(
        "usage",
        `Prompt and continuation have ${all.length} tokens, but the context holds ${session.contextSize}: shorten them.`,
      );
    const seen: Seen[] = [];
    await session.alone(() =>
      session.engine.score(all, { from: tokens.length - 1 }, (i, { logProbability, likeliest }) =>
        seen.push({ logProbability, likeliest: likeliest === all[i + 1] }),
      ),
    );
    return seen;
  });
}

/** Tokens of the vocabulary. @throws BrownianError usage */
export function checkTokens({ engine }: Session, what: string, tokens: readonly number[]): readonly number[] {
  const all = Array.from(checkList(`${what}: the tokens`, tokens));
  for (const token of all) checkInteger(what, token, 0, engine.vocabulary - 1);
  return all;
}

/** A continuation of a prompt, in the model's own tokens. */
export interface Continuation {
  /** What comes before. */
  readonly prompt: Prompt;
  /** At least one. */
  readonly ids: readonly number[];
}

/** {@link Model.followAll}. */
export async function followAll(
  session: Session,
  continuations: readonly Continuation[],
  signal?: AbortSignal,
): Promise<Seen[][]> {
  const texts = Array.from(checkList("continuations", continuations)).map((continuation): Followed => {
    const { prompt, ids } = checkObject("A continuation", continuation);
    isChat(prompt); // refuses what is no prompt
    const before = session.promptTokens(prompt);
    const tokens = checkTokens(session, "A token to follow", ids);
    if (tokens.length === 0) throw new BrownianError("usage", "A continuation has no token: give it one.");
    return { tokens: [...before, ...tokens], from: before.length - 1 };
  });
  return session.during(async () => {
    await session.alone(() => session.prepare(CLEAN, { signal }));
    return readTexts(session, texts, signal);
  }, signal);
}

/** What the weights as they are now think of the ends of these texts. @throws BrownianError usage where one does not fit the context */
export function readTexts(session: Session, texts: readonly Followed[], signal?: AbortSignal): Promise<Seen[][]> {
  for (const { tokens } of texts)
    if (tokens.length > session.contextSize)
      throw new BrownianError(
        "usage",
        `Prompt and continuation have ${tokens.length} tokens, but the context holds ${session.contextSize}: shorten them.`,
      );
  return session.alone(() => session.engine.followAll(texts, signal));
}

/** {@link Model.windowLength}. */
export function windowLength({ engine }: Session): number {
  return engine.contextSize - (engine.beginning === null ? 0 : 1);
}

/** What was last cut into windows: a long text takes the tokenizer a while, and is asked for again by whoever plans first and reads then. */
const lastCut = new WeakMap<Session, { readonly text: string; readonly tokens: readonly number[] }>();

function tokensOf(session: Session, text: string): readonly number[] {
  const last = lastCut.get(session);
  if (last?.text === text) return last.tokens;
  const tokens = session.engine.tokenize(text);
  lastCut.set(session, { text, tokens });
  return tokens;
}

/** {@link Model.windows}. */
export function windows(session: Session, text: string, options: WindowOptions): number[][] {
  checkText("text", text);
  checkOptions("windows", options, { length: true, maxTokens: true });
  const most = checkInteger("maxTokens", options.maxTokens ?? Number.MAX_SAFE_INTEGER, 1);
  const begin = session.engine.beginning === null ? [] : [session.engine.beginning];
  const all = tokensOf(session, text).slice(begin.length, begin.length + most);
  const longest = windowLength(session);
  const length = checkInteger("length", options.length ?? longest, 1, longest);
  const cut: number[][] = [];
  for (let at = 0; at < all.length; at += length) cut.push([...begin, ...all.slice(at, at + length)]);
  if (!cut.some((window) => window.length > 1))
    throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
  return cut;
}
