// Many short texts as sequences of one batch: the weights go through the processor's caches once for all of them, and what all texts begin with is
// computed once. Rows of a batch may be rounded otherwise than a row alone, but the same texts give the same numbers again.

import { LogitColumn } from "../../laws/numbers.js";
import type { Followed, Seen } from "../interface.js";
import { type Decoder, DONE } from "./decoder.js";

/** Tokens of one text that go into a batch next. */
interface Part {
  readonly text: Followed;
  readonly sequence: number;
  readonly first: number;
  readonly end: number;
  readonly seen: Seen[];
}

/** What the model thinks of each text from token `from` + 1 on. Has the decoder to itself; leaves all its texts empty. */
export function followAll(decoder: Decoder, texts: readonly Followed[], signal?: AbortSignal): Promise<Seen[][]> {
  const read = async () => {
    forget(decoder);
    try {
      return await readAll(decoder, texts, signal);
    } finally {
      forget(decoder);
    }
  };
  return decoder.exclusive(() => decoder.interruptible(read, signal));
}

/** By removing, which touches no more than there is; what may be no number is cleared, which writes over all of the cache. */
function forget(decoder: Decoder): void {
  for (const [sequence, text] of decoder.texts.entries()) {
    text.length = 0;
    decoder.context.remove(sequence, -1, -1);
  }
}

async function readAll(decoder: Decoder, texts: readonly Followed[], signal: AbortSignal | undefined): Promise<Seen[][]> {
  const all = texts.map((): Seen[] => []);
  const last = decoder.texts.length - 1;
  // The last sequence keeps what all begin with.
  const common = last > 0 && texts.length > 1 ? commonBeginning(texts) : 0;
  const places = common > 0 ? last : last + 1;
  if (common > 0) {
    const [text] = texts as [Followed];
    await decode(decoder, [{ text, sequence: last, first: 0, end: common, seen: [] }], signal);
  }
  for (let at = 0; at < texts.length; at += places) {
    if (at > 0) for (let sequence = 0; sequence < places; sequence++) decoder.context.remove(sequence, -1, -1);
    const parts = texts.slice(at, at + places).map((text, sequence) => {
      if (common > 0) decoder.context.copy(last, sequence, 0, -1);
      return { text, sequence, first: common, end: text.tokens.length - 1, seen: all[at + sequence] as Seen[] };
    });
    await decode(decoder, parts, signal);
  }
  return all;
}

/** How many tokens all texts have in common before anything is asked of them. */
function commonBeginning(texts: readonly Followed[]): number {
  const [first] = texts as [Followed];
  let most = Math.min(...texts.map(({ from }) => from));
  for (const { tokens } of texts) {
    let same = 0;
    while (same < most && tokens[same] === first.tokens[same]) same++;
    most = same;
  }
  return most;
}

/** Reads these parts, as many tokens at once as a batch holds. */
async function decode(decoder: Decoder, parts: readonly Part[], signal: AbortSignal | undefined): Promise<void> {
  const entries = parts.flatMap((part) =>
    Array.from({ length: part.end - part.first }, (_, i) => ({ part, at: part.first + i })),
  );
  for (let begin = 0; begin < entries.length; begin += decoder.most) {
    const batch = entries.slice(begin, begin + decoder.most);
    const asked = batch.filter(({ part, at }) => at >= part.text.from);
    const targets = asked.map(({ part, at }) => part.text.tokens[at + 1] as number);
    const { status, rows, largest } = await decoder.context.read({
      tokens: Int32Array.from(batch, ({ part, at }) => part.text.tokens[at] as number),
      positions: Int32Array.from(batch, ({ at }) => at),
      sequences: Int32Array.from(batch, ({ part }) => part.sequence),
      outputs: Uint8Array.from(batch, ({ part, at }) => (at >= part.text.from ? 1 : 0)),
      targets: Int32Array.from(targets),
      betas: new Float32Array(0),
    });
    if (status !== DONE) {
      decoder.context.clear();
      signal?.throwIfAborted();
      throw decoder.failure(status);
    }
    for (const [row, { part }] of asked.entries()) {
      const at = row * LogitColumn.head;
      const [below, weight] = [rows[at + LogitColumn.below] as number, rows[at + LogitColumn.weight] as number];
      part.seen.push({ logProbability: below - Math.log(weight), likeliest: largest[row] === targets[row] });
    }
  }
}
