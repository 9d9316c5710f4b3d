// How sure a model is of every token of a text, and how far that is a matter of its weights: an ensemble of moved
// weights reads the text, each member once, teacher-forced.

import type { Sampling } from "../engine/index.js";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import { Ensemble, type EnsembleEntropy, softmax } from "../sampling/index.js";
import { noiseOf } from "../thermostat/noise.js";
import type { Session } from "./session.js";
import { TextStream } from "./text-stream.js";
import { type GenerateOptions, samplingOf } from "./write.js";

/** Which ensemble of moved weights reads a text, and which text. */
export interface UncertaintyOptions
  extends Omit<GenerateOptions, "sigma" | "dynamics" | "tau" | "stride" | "recompute" | "promptWeights" | "pick" | "endless"> {
  /** Draws of the weights; default 8. */
  readonly members?: number | undefined;
  /** Noise on the weights in units of `scale`; default 0.05. */
  readonly sigma?: number | undefined;
  /** What follows the prompt; default: what the clean model writes. */
  readonly text?: string | undefined;
  /** Called with members that have read the text, and members in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** A token of a text, and how sure an ensemble of moved weights was that it would come; entropies in nats. */
export interface UncertainToken extends EnsembleEntropy {
  /** Its number in the vocabulary. */
  readonly token: number;
  /** As it reads on; empty for a part of a character, whose last token has it. */
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

const DEFAULT_ENSEMBLE = { members: 8, sigma: 0.05 };

/** Of the draws of an ensemble: the first has the seed itself. */
const memberSeed = (seed: bigint, member: number): bigint => BigInt.asUintN(64, seed + BigInt(member) * 0x9e3779b97f4a7c15n);

/** {@link Model.uncertainty}. */
export async function uncertainty(session: Session, prompt: string, options: UncertaintyOptions): Promise<Uncertainty> {
  const { signal, onProgress } = options;
  const members = checkInteger("members", options.members ?? DEFAULT_ENSEMBLE.members, 1, 10_000);
  const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
  const sampling = samplingOf(options);
  const sigma = checkNumber("sigma", options.sigma ?? DEFAULT_ENSEMBLE.sigma, 0);
  const noise = noiseOf({ ...options, sigma, dynamics: "quenched" });
  return session.during(async () => {
    const { tokens, start } = await session.alone(async () => {
      const clean = noise.with({ sigma: 0 });
      const { text } = options;
      if (text === undefined) {
        const begun = await session.prepare(clean, { prompt, signal });
        return written(session, begun.tokens, most, sampling, signal);
      }
      await session.prepare(clean, { signal });
      return given(session, prompt, text, most);
    });
    if (tokens.length === start) return { text: "", tokens: [], members };
    const ensembles: Ensemble[] = [];
    // Members without noise are one and the same.
    const different = noise.off ? 1 : members;
    for (let member = 0; member < different; member++) {
      signal?.throwIfAborted();
      await session.alone(async () => {
        await session.prepare(noise.with({ seed: memberSeed(noise.seed, member) }), { signal });
        await session.engine.score(tokens.slice(0, -1), (i, logits) => {
          if (i < start - 1) return;
          ensembles[i] ??= new Ensemble(logits.length);
          ensembles[i].add(softmax(logits));
        });
      });
      onProgress?.(member + 1, different);
    }
    return session.alone(async () => {
      const stream = new TextStream(session.engine, tokens.slice(0, start));
      const read = tokens.slice(start).map((token, i): UncertainToken => {
        const ensemble = ensembles[start - 1 + i] as Ensemble;
        return { token, text: stream.push(token), probability: ensemble.mean()[token] as number, ...ensemble.entropy() };
      });
      const last = read.at(-1);
      if (last !== undefined) read[read.length - 1] = { ...last, text: last.text + stream.flush() };
      return { text: read.map((token) => token.text).join(""), tokens: read, members };
    });
  });
}

/** The tokens of a text, and where what is to be expected begins. */
interface ToRead {
  readonly tokens: readonly number[];
  readonly start: number;
}

/** Prompt and text. @throws BrownianError usage where there is nothing to expect, or they are longer than the context */
function given({ engine, contextSize }: Session, prompt: string, text: string, most: number): ToRead {
  const before = engine.tokenize(prompt);
  const all = engine.tokenize(prompt + text);
  // Where the tokenizer draws the last token of the prompt and the first of the text into one, that counts as the text's.
  let start = 0;
  while (start < before.length && before[start] === all[start]) start++;
  start = Math.max(start, 1);
  const tokens = all.slice(0, start + most);
  if (tokens.length <= start) throw new BrownianError("usage", "The text has no token to be expected: give a longer one.");
  if (tokens.length > contextSize)
    throw new BrownianError(
      "usage",
      `Prompt and text have ${tokens.length} tokens, but the context holds ${contextSize}: shorten them, or read fewer (maxTokens).`,
    );
  return { tokens, start };
}

/** The prompt, and what the weights that are loaded write after it. */
async function written(
  { engine, contextSize }: Session,
  prompt: readonly number[],
  most: number,
  sampling: Sampling,
  signal: AbortSignal | undefined,
): Promise<ToRead> {
  const tokens = [...prompt];
  const pieces = engine.continue(prompt, sampling);
  const room = Math.min(most, contextSize - prompt.length);
  try {
    while (tokens.length < prompt.length + room) {
      signal?.throwIfAborted();
      const next = await pieces.next();
      if (next.done) break;
      tokens.push(next.value);
    }
  } finally {
    await pieces.return(undefined);
  }
  return { tokens, start: prompt.length };
}
