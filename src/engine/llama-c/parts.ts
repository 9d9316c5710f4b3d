// Reading texts that are there: tokens of one text, or of several in sequences of their own, become batches, and kernels say what the model expected
// at each. Whoever calls has the decoder to itself.

import { LogitColumn } from "../../laws/numbers.js";
import { type Decoder, DONE } from "./decoder.js";

/** Tokens of one text that are read next. */
export interface Part {
  readonly tokens: readonly number[];
  /** Where the text lies; what it has before is what comes before these tokens. */
  readonly sequence: number;
  /** The first of the tokens to be read, and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** The first token after which something is expected. */
  readonly from: number;
}

/** What is asked of each token after which something is expected; the arrays have a row of logits for every one of them, part after part. */
export interface Wanted {
  readonly betas?: Float32Array | undefined;
  readonly reference?: Float32Array | undefined;
  readonly keep?: Float32Array | undefined;
  readonly sums?: Float32Array | undefined;
}

/** What kernels said of one of them. */
export interface Said {
  /** LogitColumn.head numbers, and one of every beta. */
  readonly numbers: Float64Array;
  readonly likeliest: number;
  /** Its place in the batch, where its logits are until the next one is computed. */
  readonly place: number;
}

const NO_BETAS = new Float32Array(0);

/**
 * Reads these parts, as many tokens at once as a batch holds; tells of each token after which something is expected, in turn.
 * @throws the signal's reason; BrownianError engine-failed; then what the context held is forgotten
 */
export async function readParts(
  decoder: Decoder,
  parts: readonly Part[],
  { betas = NO_BETAS, ...arrays }: Wanted,
  tell: (part: Part, at: number, said: Said) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const width = LogitColumn.head + betas.length;
  const vocabulary = decoder.vocabulary;
  const entries = parts.flatMap((part) =>
    Array.from({ length: part.end - part.first }, (_, i) => ({ part, at: part.first + i })),
  );
  let row = 0;
  for (let begin = 0; begin < entries.length; begin += decoder.most) {
    const batch = entries.slice(begin, begin + decoder.most);
    const targets = batch.flatMap(({ part, at }) => (at >= part.from ? [part.tokens[at + 1] as number] : []));
    const [first, end] = [row * vocabulary, (row + targets.length) * vocabulary];
    const { status, rows, largest } = await decoder.context.read({
      tokens: Int32Array.from(batch, ({ part, at }) => part.tokens[at] as number),
      positions: Int32Array.from(batch, ({ at }) => at),
      sequences: Int32Array.from(batch, ({ part }) => part.sequence),
      outputs: Uint8Array.from(batch, ({ part, at }) => (at >= part.from ? 1 : 0)),
      targets: Int32Array.from(targets),
      betas,
      ...Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array?.subarray(first, end)])),
    });
    if (status !== DONE) {
      for (const text of decoder.texts) text.length = 0;
      decoder.context.clear();
      signal?.throwIfAborted();
      throw decoder.failure(status);
    }
    row += targets.length;
    let output = 0;
    for (const [place, { part, at }] of batch.entries()) {
      if (at < part.from) continue;
      const numbers = rows.subarray(output * width, (output + 1) * width);
      tell(part, at, { numbers, likeliest: largest[output] as number, place });
      output++;
    }
  }
}

/** Within `exclusive`: forgets all texts by removing them, which touches no more than there is; clearing writes over all of the cache. */
export function forget({ texts, context }: Decoder): void {
  for (const [sequence, text] of texts.entries()) {
    text.length = 0;
    context.remove(sequence, -1, -1);
  }
}
