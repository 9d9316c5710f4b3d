// Writing: the continuation of a prompt, piece by piece, with weights that move between its tokens. Equal arguments
// give equal texts.

import type { Sampling } from "../engine/index.js";
import { BrownianError, checkChoice, checkInteger, checkNumber } from "../errors.js";
import { type Seed, seed64 } from "../noise/index.js";
import { type NoiseSettings, noiseOf } from "../thermostat/noise.js";
import type { Schedule } from "../thermostat/schedule.js";
import type { Begun, Session } from "./session.js";
import { TextStream } from "./text-stream.js";

/** The dice at the output. */
export interface SamplingOptions {
  /** Softmax temperature of the engine; default 0, greedy. Combines with moving weights. */
  readonly temperature?: number | undefined;
  /** Softmax samples from the k likeliest tokens only; default 0, all of them. */
  readonly topK?: number | undefined;
  /** Softmax samples from the likeliest tokens of total probability p only; default 1, all of them. */
  readonly topP?: number | undefined;
  /** Softmax samples from tokens at least p times as likely as the likeliest only; default 0, all of them. */
  readonly minP?: number | undefined;
}

/** How a text is written: the noise on the weights and its dynamics, the dice at the output, and when it ends. */
export interface GenerateOptions extends Omit<NoiseSettings, "sigma">, SamplingOptions {
  /** Noise on the weights in units of `scale`; default 0. A number, or a function of the token that is written (annealing). */
  readonly sigma?: number | Schedule | undefined;
  /** How the noise evolves over tokens, by name (DYNAMICS); default "quenched": drawn once a text. */
  readonly dynamics?: string | undefined;
  /** Correlation time in tokens; default 32. */
  readonly tau?: number | undefined;
  /** Of `langevin`: tokens from one visit of a weight to the next; default tau/2, from 1 to 64. 1 moves every weight at every token. */
  readonly stride?: number | undefined;
  /**
   * Evaluates the whole context anew for every token, with the weights as they are then. Without it, the engine's
   * key/value cache keeps what earlier weights computed. Takes time in proportion to the text's length, a token.
   */
  readonly recompute?: boolean | undefined;
  /** Which weights read the prompt: the moving ones of tick 0 (default), or the pristine ones. */
  readonly promptWeights?: "moving" | "clean" | undefined;
  /**
   * Chooses every token instead of the engine, given the logits of the whole vocabulary (the array is used again for
   * the next token) and how many tokens there are already. Slower: the logits have to be handed over.
   * @example
   * const stream = new Noise(7n).stream("dice"); // noise on the logits
   * await model.complete("Once upon a time", { pick: (logits, tick) => gaussianMax(logits, stream, { tick }, 0.5) });
   */
  readonly pick?: ((logits: Float32Array, index: number) => number) | undefined;
  /** A token that ends texts is written like any other, so that all texts have `maxTokens`; default false. */
  readonly endless?: boolean | undefined;
  /** Of the weights and of softmax sampling; default 0. */
  readonly seed?: Seed | undefined;
  /** Tokens to write at most, at least 1; default 100. */
  readonly maxTokens?: number | undefined;
  /** Ends the text between two tokens; what is written by then is kept (`stop: "aborted"`). */
  readonly signal?: AbortSignal | undefined;
}

/** A text that was written, and what happened to the weights meanwhile. */
export interface Generation {
  /** The continuation, without the prompt. */
  readonly text: string;
  /** How many tokens it has. */
  readonly tokens: number;
  /** The continuation as the model's own tokens. */
  readonly ids: readonly number[];
  /** Seconds spent on all tokens but the first (which includes the prompt), moving weights included. */
  readonly seconds: number;
  /** Of all tokens but the first; 0 where there is none. */
  readonly tokensPerSecond: number;
  /** Weights that could move. */
  readonly weights: number;
  /** Codes (or floats) that differed from the pristine model's at the end. */
  readonly changed: number;
  /** The engine does not see writes to some of the moved tensors, so it loaded the moved file. */
  readonly reloaded: boolean;
  /** Why it ended: the model ended it, at `maxTokens`, at the end of the context, or by the signal. */
  readonly stop: "eos" | "length" | "context" | "aborted";
}

const UNWRITTEN: Generation = {
  text: "",
  tokens: 0,
  ids: [],
  seconds: 0,
  tokensPerSecond: 0,
  weights: 0,
  changed: 0,
  reloaded: false,
  stop: "aborted",
};

/** {@link Model.generate}. */
export async function* write(session: Session, prompt: string, options: GenerateOptions): AsyncGenerator<string, Generation> {
  session.begin();
  try {
    const { signal } = options;
    const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
    const sampling = samplingOf(options);
    const noise = noiseOf({ ...options, sigma: options.sigma ?? 0 });
    const promptWeights = checkChoice("promptWeights", options.promptWeights ?? "moving", ["moving", "clean"]);
    let begun: Begun;
    try {
      begun = await session.alone(() => session.prepare(noise, { prompt, promptWeights, signal }));
    } catch (error) {
      if (signal === undefined || error !== signal.reason) throw error;
      return UNWRITTEN;
    }

    const { engine, bath } = session;
    const { tokens, read, reloaded } = begun;
    const room = session.contextSize - tokens.length;
    const moves = noise.dynamics.moves && !noise.off;
    const stream = new TextStream(engine, tokens);
    const context = [...tokens];
    let count = 0;
    const { pick, recompute } = options;
    const continued = (from: readonly number[], how: Sampling) =>
      pick === undefined ? engine.continue(from, how) : engine.choose(from, (logits) => pick(logits, count), how);
    let written = continued(tokens.slice(read), sampling);
    /** What the next token adds to the text; undefined at its end. */
    const next = async (): Promise<string | undefined> => {
      if (moves && count > 0) await bath.tick();
      if (moves && count > 0 && recompute) {
        await written.return(undefined);
        await engine.reset();
        written = continued(context, { ...sampling, seed: (sampling.seed + count) >>> 0 });
      }
      const token = await written.next();
      if (token.done) return undefined;
      context.push(token.value);
      return stream.push(token.value);
    };

    let seconds = 0;
    let text = "";
    let stop: Generation["stop"] | undefined;
    try {
      while (stop === undefined) {
        const before = performance.now();
        const piece = await session.alone(next);
        if (piece === undefined) {
          stop = "eos";
          break;
        }
        if (count > 0) seconds += (performance.now() - before) / 1000;
        count++;
        text += piece;
        if (piece !== "") yield piece;
        if (signal?.aborted) stop = "aborted";
        else if (count >= most) stop = "length";
        else if (count >= room) stop = "context";
      }
    } finally {
      await written.return(undefined);
    }
    const rest = await session.alone(async () => stream.flush());
    text += rest;
    if (rest !== "") yield rest;
    if (text === "" && !noise.off) await session.alone(() => refuseNonsense(session, tokens, noise.sigma));
    const tokensPerSecond = seconds > 0 ? (count - 1) / seconds : 0;
    const { weights } = bath.drawn;
    const changed = await session.alone(() => bath.difference());
    return { text, tokens: count, ids: context.slice(tokens.length), seconds, tokensPerSecond, weights, changed, reloaded, stop };
  } finally {
    session.end();
  }
}

/** {@link Model.complete}. */
export async function complete(session: Session, prompt: string, options: GenerateOptions): Promise<Generation> {
  const pieces = write(session, prompt, options);
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
  }
}

/** Nothing was written: an end of text at once is fine, logits that are no numbers are not. */
async function refuseNonsense({ engine, path }: Session, tokens: readonly number[], sigma: number | Schedule): Promise<void> {
  for (const logit of (await engine.logits(tokens)).values()) {
    if (Number.isFinite(logit)) continue;
    throw new BrownianError(
      "usage",
      `At ${typeof sigma === "function" ? "this schedule of sigma" : `sigma ${sigma}`} ${path} computes no numbers any more (its logits are ${logit}): take a smaller one.`,
    );
  }
}

/** The engine's sampling that these options ask for. @throws BrownianError usage */
export function samplingOf(options: SamplingOptions & Pick<GenerateOptions, "pick" | "endless" | "seed">): Sampling {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, seed = 0, pick, endless = false } = options;
  const whole = seed64(seed);
  if (pick !== undefined && (temperature !== 0 || topK !== 0 || topP !== 1 || minP !== 0))
    throw new BrownianError("usage", "Give pick, or temperature, topK, topP and minP: pick chooses instead of them.");
  return {
    yieldEogToken: endless,
    temperature: checkNumber("temperature", temperature, 0, 1e6),
    topK: checkInteger("topK", topK, 0, 2 ** 31 - 1),
    topP: checkNumber("topP", topP, 0, 1),
    minP: checkNumber("minP", minP, 0, 1),
    seed: Number(BigInt.asUintN(32, whole ^ (whole >> 32n))),
  };
}
