// Texts as vectors: the mean of what the last layer makes of their tokens, of length 1, with weights clean or moved.

import { BrownianError, checkList } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { NOISE, noiseOf } from "../thermostat/noise.js";
import { isChat, type Prompt } from "./chat.js";
import type { SamplingOptions } from "./sampling.js";
import type { Session } from "./session.js";
import type { GenerateOptions, OnlyWritten } from "./write.js";

/** Which weights read the texts. */
export interface EmbedOptions
  extends Omit<GenerateOptions, OnlyWritten | keyof SamplingOptions | "dynamics" | "tau" | "stride" | "subspace" | "maxTokens"> {
  /** Noise on the weights in units of `scale`, one draw for all texts; default 0. */
  readonly sigma?: number | undefined;
}

const NAMES: Names<EmbedOptions> = { ...NOISE, carrier: true, rank: true, member: true, signal: true };

/** A text as a vector. */
export interface Embedding {
  /** Of length 1: the inner product of two is the cosine of their angle. */
  readonly vector: Float32Array;
  /** How many tokens were read. */
  readonly tokens: number;
}

/** {@link Model.embed}. */
export async function embed(session: Session, texts: readonly Prompt[], options: EmbedOptions): Promise<Embedding[]> {
  const { signal } = checkOptions("embed", options, NAMES);
  const noise = noiseOf({ ...options, sigma: options.sigma ?? 0, dynamics: "quenched" });
  const read = Array.from(checkList("texts", texts)).map((text) => {
    isChat(text); // refuses what is no prompt
    return text;
  });
  session.refuseDisposed();
  const all = read.map((text) => session.promptTokens(text));
  return session.during(async () => {
    await session.alone(() => session.prepare(noise, { signal }));
    const embeddings: Embedding[] = [];
    for (const tokens of all) {
      signal?.throwIfAborted();
      const mean = await session.alone(async () => {
        const { engine } = session;
        if (engine.embed === undefined)
          throw new BrownianError("usage", "Embeddings need the engine llama-c: brownian info says why it does not run here.");
        return engine.embed(tokens, signal);
      });
      const length = Math.hypot(...mean);
      embeddings.push({ vector: Float32Array.from(mean, (value) => (length > 0 ? value / length : 0)), tokens: tokens.length });
    }
    return embeddings;
  }, signal);
}
