// What the header of a file says against writing with it, before an engine sees it: llama.cpp ends the process on some of these, and
// writes nonsense with others. Reads the directory that is there already; opens nothing.

import { BrownianError, shown } from "../errors.js";
import { type ModelFile, otherThanModel } from "../files/index.js";

/** Architectures that read and do not write, besides those with "bert" in their names. */
const ENCODERS: readonly string[] = ["t5encoder", "gemma-embedding", "llama-embed"];
/** Architectures whose decoder goes on from what an encoder has read of another text. */
const ENCODER_DECODERS: readonly string[] = ["t5"];
/** Architectures that fill in all tokens of a text at once, again and again. */
const DIFFUSION: readonly string[] = ["dream", "llada", "llada-moe", "rnd1"];

/** llama.cpp's pooling types: 0 none, 1 mean, 2 first token, 3 last token, 4 rank. */
const RANK = 4;

/** What a file is that no text can be written with; undefined where nothing in its header says so. */
function otherThanWriter({ metadata, architecture, tensors }: ModelFile): string | undefined {
  const other = otherThanModel({ metadata, architecture });
  if (other !== undefined) return other;
  if (tensors.length === 0) return "a header without weights";
  const pooling = Number(metadata[`${architecture}.pooling_type`] ?? 0);
  if (pooling === RANK) return "a reranker, which gives texts a score and writes none";
  if (pooling > 0) return "an embedding model, which turns texts into vectors and writes none";
  const reads = `an encoder (${architecture}), which reads texts and writes none`;
  if (architecture.includes("bert") || ENCODERS.includes(architecture)) return reads;
  if (ENCODER_DECODERS.includes(architecture))
    return `an encoder with a decoder (${architecture}), which answers a text instead of continuing it`;
  if (DIFFUSION.includes(architecture))
    return `a diffusion model (${architecture}), which fills in all tokens at once instead of one after the other`;
  if (metadata[`${architecture}.attention.causal`] === false) return reads;
  const tokens = metadata["tokenizer.ggml.tokens"];
  const tokenizer = metadata["tokenizer.ggml.model"];
  if (
    !Array.isArray(tokens) ||
    tokens.length === 0 ||
    tokenizer === undefined ||
    tokenizer === "none" ||
    tokenizer === "no_vocab"
  )
    return "a model without a vocabulary: weights alone, which no text can be turned into tokens for";
  return undefined;
}

/**
 * Refuses a file that no text can be written with, as far as its header tells.
 * @param name what the user calls it
 * @throws BrownianError no-language-model
 */
export function firstLook(model: ModelFile, name: string): void {
  const what = otherThanWriter(model);
  if (what !== undefined) throw new BrownianError("no-language-model", `${name} is ${what}.`);
}

/** llama.cpp's own alignment of tensors, in bytes. */
const ALIGNED = 32;

/** What in a header is known to end llama.cpp's process, in words; undefined where there is nothing of the kind. */
export function knownToAbort({ metadata }: ModelFile): string | undefined {
  const alignment = Number(metadata["general.alignment"] ?? ALIGNED);
  if (alignment % ALIGNED !== 0)
    return `its general.alignment is ${alignment}, and llama.cpp computes only with tensors that lie at multiples of ${ALIGNED} bytes`;
  const tokens = metadata["tokenizer.ggml.tokens"];
  if (!Array.isArray(tokens)) return undefined;
  const seen = new Set<unknown>();
  for (const token of tokens) {
    if (seen.has(token)) return `its vocabulary has the token ${shown(token)} twice`;
    seen.add(token);
  }
  return undefined;
}
