// Writing: the continuation of a prompt, piece by piece, with weights that move between its tokens. Equal arguments
// give equal texts.

import { NoNumbers, type Sequence } from "../engine/index.js";
import { BrownianError, checkChoice, checkFunction, checkInteger, checkText } from "../errors.js";
import type { Seed } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import type { DynamicsName } from "../thermostat/dynamics/index.js";
import { CARRIER, type CarrierOptions, NOISE, type NoiseSettings, noiseOf } from "../thermostat/noise.js";
import type { Schedule } from "../thermostat/schedule.js";
import { isChat, type Prompt } from "./chat.js";
import { LogProbabilities, type TokenLogProbability } from "./log-probabilities.js";
import { SAMPLING, type SamplingOptions, samplingOf, stopsOf } from "./sampling.js";
import type { Begun, Session } from "./session.js";
import { StopStrings } from "./stop-strings.js";
import { TextStream } from "./text-stream.js";

/** How a text is written: the noise on the weights and its dynamics, the dice at the output, and when it ends. */
export interface GenerateOptions extends Omit<NoiseSettings, "sigma">, CarrierOptions, SamplingOptions {
  /** Noise on the weights in units of `scale`; default 0. A number, or a function of the token that is written (annealing). */
  readonly sigma?: number | Schedule | undefined;
  /** How the noise evolves over tokens, by name (DYNAMICS); default "quenched": drawn once a text. */
  readonly dynamics?: DynamicsName | undefined;
  /** Correlation time in tokens; default 32. */
  readonly tau?: number | undefined;
  /** Of `langevin`: tokens from one visit of a weight to the next; default tau/2, from 1 to 64. 1 moves every weight at every token. */
  readonly stride?: number | undefined;
  /**
   * Evaluates the whole context anew for every token, with the weights as they are then. Without it, the engine's
   * key/value cache keeps what earlier weights computed. Takes time in proportion to the text's length, a token.
   */
  readonly recompute?: boolean | undefined;
  /**
   * A file that keeps what the engine computes of the prompt, and gives it where it is of the same model, engine and weights. Weights at rest only,
   * and engine "llama-c". At a near-tie a text may differ from the one whose prompt was read at once (docs/guides/engine.md).
   */
  readonly promptCache?: string | undefined;
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
  /**
   * How likely every token was, and the so many likeliest in its place (0 to 100): `Generation.logprobs`. Of the weights as they were then, and of
   * logits that no sampling has changed. Needs the engine llama-c.
   */
  readonly logprobs?: number | undefined;
  /** Told of every token as it is written, before the piece of text that it completes. */
  readonly onToken?: ((token: TokenLogProbability | { readonly token: number }) => void) | undefined;
  /** A token that ends texts is written like any other, so that all texts have `maxTokens`; default false. */
  readonly endless?: boolean | undefined;
  /** Of the weights and of the dice; default 0. */
  readonly seed?: Seed | undefined;
  /** Of the weights; default `seed`. */
  readonly noiseSeed?: Seed | undefined;
  /** Tokens to write at most, at least 1; default 100. */
  readonly maxTokens?: number | undefined;
  /** Whether codes that differ are counted at the end, which reads all weights; default true. Without, `changed` is 0. */
  readonly countChanges?: boolean | undefined;
  /** Ends the text between two tokens; what is written by then is kept (`stop: "aborted"`). */
  readonly signal?: AbortSignal | undefined;
}

/** The names of {@link GenerateOptions}. */
export const GENERATE: Names<GenerateOptions> = {
  ...NOISE,
  ...CARRIER,
  ...SAMPLING,
  dynamics: true,
  tau: true,
  stride: true,
  recompute: true,
  promptCache: true,
  promptWeights: true,
  pick: true,
  logprobs: true,
  onToken: true,
  endless: true,
  noiseSeed: true,
  maxTokens: true,
  countChanges: true,
  signal: true,
};

/** Options of texts that are written which say nothing where texts are read. */
export type OnlyWritten =
  | "recompute"
  | "promptWeights"
  | "promptCache"
  | "pick"
  | "endless"
  | "noiseSeed"
  | "logprobs"
  | "onToken"
  | "countChanges";

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
  /** Codes (or floats) that differed from the pristine model's at the end (none with carrier adapter); after an abort, those that the last draw or tick changed. */
  readonly changed: number;
  /** The engine does not see writes to some of the moved tensors, so it loaded the moved file. */
  readonly reloaded: boolean;
  /** Why it ended: the model (or a grammar) ended it, at a stop string, at `maxTokens`, at the end of the context, or by the signal. */
  readonly stop: "eos" | "stop" | "length" | "context" | "aborted";
  /** Of every token, where GenerateOptions.logprobs asked for it. */
  readonly logprobs?: readonly TokenLogProbability[] | undefined;
  /** The stop string that ended it: `text` ends before it, `ids` has its tokens too. */
  readonly stopString?: string | undefined;
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
export async function* write(session: Session, prompt: Prompt, options: GenerateOptions): AsyncGenerator<string, Generation> {
  isChat(prompt); // refuses what is no prompt
  const { signal } = checkOptions("generate", options, GENERATE);
  const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
  if (options.promptCache !== undefined) checkText("promptCache", options.promptCache);
  for (const name of ["pick", "onToken"] as const) if (options[name] !== undefined) checkFunction(name, options[name]);
  const noise = noiseOfText(options);
  const promptWeights = checkChoice("promptWeights", options.promptWeights ?? "moving", ["moving", "clean"]);
  const beginning = { prompt, promptWeights, signal };
  const shared = session.sharedBy(noise, beginning);
  if (options.promptCache !== undefined && shared === undefined)
    throw new BrownianError("usage", "promptCache is for weights at rest: leave it out, or take the dynamics quenched.");
  const aborted = (error: unknown): boolean => signal?.aborted === true && error === signal.reason;
  let place: number;
  try {
    place = await session.begin(shared, signal);
  } catch (error) {
    if (!aborted(error)) throw error;
    return UNWRITTEN;
  }
  try {
    const sampling = samplingOf(options, session.engine);
    const stops = new StopStrings(stopsOf(options));
    let begun: Begun;
    try {
      begun = await session.alone(() => session.prepareFor(place, noise, beginning));
    } catch (error) {
      if (!aborted(error)) throw error;
      return UNWRITTEN;
    }

    const { engine } = session;
    const sequence = engine.sequences[place] as Sequence;
    const { tokens, reloaded } = begun;
    const cache =
      options.promptCache === undefined ? undefined : await session.promptCache(options.promptCache, shared, sequence);
    const read = Math.max(begun.read, (await session.alone(async () => cache?.take(tokens))) ?? 0);
    const room = session.contextSize - tokens.length;
    const moves = noise.dynamics.moves && !noise.off;
    const stream = new TextStream(engine, tokens);
    const context = [...tokens];
    let count = 0;
    const { pick, recompute, onToken } = options;
    const seen = LogProbabilities.asked(options, engine.vocabulary);
    const chooser = pick === undefined ? await session.alone(() => engine.chooser(sampling, tokens)) : undefined;
    const continued = (from: readonly number[]) =>
      pick === undefined
        ? sequence.continue(from, sampling, { chooser, signal, logits: seen?.logits })
        : sequence.choose(from, (logits) => pick(logits, count), sampling, signal);
    let written = continued(tokens.slice(read));
    /** What the next token adds to the text; undefined at its end. */
    const next = async (): Promise<string | undefined> => {
      if (moves && count > 0) await session.tick();
      if (moves && count > 0 && recompute) {
        await written.return(undefined);
        await sequence.reset();
        chooser?.reseed((sampling.seed + count) >>> 0);
        written = continued(context);
      }
      const token = await written.next();
      if (token.done) return undefined;
      context.push(token.value);
      const said = seen?.add(token.value);
      onToken?.(said ?? { token: token.value });
      return stops.push(stream.push(token.value));
    };

    let seconds = 0;
    let text = "";
    let stop: Generation["stop"] | undefined;
    try {
      while (stop === undefined) {
        const before = performance.now();
        let piece: string | undefined;
        try {
          piece = await session.alone(next);
        } catch (error) {
          if (!aborted(error)) throw error;
          stop = "aborted";
          break;
        }
        if (piece === undefined) {
          stop = "eos";
          break;
        }
        if (count > 0) seconds += (performance.now() - before) / 1000;
        else if (read < tokens.length - 1) await session.alone(async () => cache?.keep());
        count++;
        text += piece;
        if (piece !== "") yield piece;
        if (stops.found !== undefined) stop = "stop";
        else if (signal?.aborted) stop = "aborted";
        else if (count >= most) stop = "length";
        else if (count >= room) stop = "context";
      }
    } finally {
      await written.return(undefined);
      chooser?.free();
    }
    const rest = await session.alone(async () => stops.push(stream.flush()) + stops.flush());
    text += rest;
    if (rest !== "") yield rest;
    if (text === "" && !noise.off && stop !== "aborted" && engine.sequences.length === 1)
      await session.alone(() => refuseNonsense(session, tokens));
    const tokensPerSecond = seconds > 0 ? (count - 1) / seconds : 0;
    const weights = session.movable;
    const changed = options.countChanges === false ? 0 : await changesOf(session, stop);
    const ids = context.slice(tokens.length);
    const likely = seen === undefined ? {} : { logprobs: seen.all };
    const done = { text, tokens: count, ids, ...likely, seconds, tokensPerSecond, weights, changed, reloaded };
    return stops.found === undefined ? { ...done, stop } : { ...done, stop: "stop", stopString: stops.found };
  } finally {
    session.end(place);
  }
}

const noiseOfText = (options: GenerateOptions) =>
  noiseOf({ ...options, sigma: options.sigma ?? 0, seed: options.noiseSeed ?? options.seed });

/** {@link Model.check}. */
export function check(session: Session, options: GenerateOptions): void {
  session.refuseDisposed();
  checkOptions("check", options, GENERATE);
  checkInteger("maxTokens", options.maxTokens ?? 1, 1);
  noiseOfText(options);
  samplingOf(options, session.engine);
  stopsOf(options);
  LogProbabilities.asked(options, 0);
}

/** {@link Model.complete}. */
export async function complete(session: Session, prompt: Prompt, options: GenerateOptions): Promise<Generation> {
  const pieces = write(session, prompt, options);
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
  }
}

/** Codes that moved. To count takes a while: whoever ended the text does not wait for it. */
async function changesOf(session: Session, stop: Generation["stop"]): Promise<number> {
  const { bath } = session;
  return stop === "aborted" ? bath.drawn.changed : session.alone(() => bath.difference());
}

/** Nothing was written: an end of text at once is fine, logits that are no numbers are not. Engines that look at them themselves have said so. */
async function refuseNonsense({ engine, path }: Session, tokens: readonly number[]): Promise<void> {
  for (const logit of (await engine.logits(tokens)).values()) if (!Number.isFinite(logit)) throw new NoNumbers(path);
}
