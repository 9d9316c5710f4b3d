// Reading: what a model expects at every token of a text that is there already, teacher-forced, with its weights clean or moved.

import type { Seen } from "../engine/index.js";
import { BrownianError, checkInteger } from "../errors.js";
import { noiseOf } from "../thermostat/noise.js";
import type { SamplingOptions } from "./sampling.js";
import { CLEAN, type Session } from "./session.js";
import type { GenerateOptions } from "./write.js";

/** Which weights read a text, and how much of it. */
export interface ScoreOptions
  extends Omit<GenerateOptions, "recompute" | "promptWeights" | keyof SamplingOptions | "pick" | "endless"> {
  /** Tokens of the text to read; default all. */
  readonly maxTokens?: number | undefined;
  /**
   * Lets the dynamics go on from token to token, as while a text is written, from tick 0 at the beginning of every
   * window. Token by token, which takes longer; by default the whole text is read with the weights of tick 0.
   */
  readonly ticks?: boolean | undefined;
}

/** What a model expected at one token of a text. */
export interface Expected {
  /** Counts the tokens visited. */
  readonly position: number;
  /** Which of the windows it is in, from 0. */
  readonly window: number;
  /** The one that came, by its number in the vocabulary. */
  readonly token: number;
  /** What the model expected: the logits of the whole vocabulary; valid until the next is visited. */
  readonly logits: Float32Array;
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
  return session.during(async () => {
    const { signal } = options;
    const { bath } = session;
    const read = typeof text === "string" ? windows(session, text, { maxTokens: options.maxTokens }) : text;
    const noise = noiseOf({ ...options, sigma: options.sigma ?? 0 });
    await session.alone(() => session.prepare(noise, { signal }));
    const ticking = !noise.off && options.ticks === true && noise.dynamics.moves;
    let position = 0;
    for (const [number, window] of read.entries()) {
      signal?.throwIfAborted();
      if (ticking && number > 0) await session.alone(() => bath.start({ signal }));
      await session.alone(() =>
        session.engine.score(
          window,
          (i, logits) => {
            const token = window[i + 1];
            if (token !== undefined) visit({ position: position++, window: number, token, logits });
          },
          ticking ? () => bath.tick() : undefined,
        ),
      );
    }
    return position;
  });
}

/** {@link Model.follow}. */
export async function follow(session: Session, prompt: string, ids: readonly number[]): Promise<Seen[]> {
  return session.during(async () => {
    const { tokens } = await session.alone(() => session.prepare(CLEAN, { prompt }));
    const all = [...tokens, ...ids];
    if (all.length > session.contextSize)
      throw new BrownianError(
        "usage",
        `Prompt and continuation have ${all.length} tokens, but the context holds ${session.contextSize}: shorten them.`,
      );
    return (await session.alone(() => session.engine.follow(all))).slice(tokens.length - 1);
  });
}

/** {@link Model.windowLength}. */
export function windowLength({ engine }: Session): number {
  return engine.contextSize - (engine.beginning === null ? 0 : 1);
}

/** {@link Model.windows}. */
export function windows(session: Session, text: string, options: WindowOptions): number[][] {
  const most = checkInteger("maxTokens", options.maxTokens ?? Number.MAX_SAFE_INTEGER, 1);
  const begin = session.engine.beginning === null ? [] : [session.engine.beginning];
  const all = session.engine.tokenize(text).slice(begin.length, begin.length + most);
  const longest = windowLength(session);
  const length = checkInteger("length", options.length ?? longest, 1, longest);
  const cut: number[][] = [];
  for (let at = 0; at < all.length; at += length) cut.push([...begin, ...all.slice(at, at + length)]);
  if (!cut.some((window) => window.length > 1))
    throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
  return cut;
}
