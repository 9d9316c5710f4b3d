// A text as one vector: what the last layer makes of its tokens, on average. Logits are computed as well, since llama.cpp leaves none out.

import { type Decoder, DONE } from "./decoder.js";

/** The mean over `tokens`. Has the decoder to itself; leaves its first text empty. */
export function embed(decoder: Decoder, tokens: readonly number[], signal?: AbortSignal): Promise<Float64Array> {
  const read = async () => {
    decoder.cut(0, 0);
    let mean = new Float64Array(0);
    for (let at = 0; at < tokens.length; at += decoder.most) {
      const part = tokens.slice(at, at + decoder.most);
      const { status, sum } = await decoder.context.embed({
        tokens: Int32Array.from(part),
        positions: Int32Array.from(part, (_, i) => at + i),
        sequences: new Int32Array(part.length),
        outputs: new Uint8Array(part.length).fill(1),
      });
      if (status !== DONE) {
        decoder.cut(0, 0);
        signal?.throwIfAborted();
        throw decoder.failure(status);
      }
      mean = sum.map((value, i) => (mean[i] ?? 0) + value / tokens.length);
    }
    decoder.cut(0, 0);
    return mean;
  };
  return decoder.exclusive(() => decoder.interruptible(read, signal));
}
