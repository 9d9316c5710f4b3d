// Many short texts as sequences of one batch: the weights go through the processor's caches once for all of them, and what all texts begin with is
// computed once. Rows of a batch may be rounded otherwise than a row alone, but the same texts give the same numbers again.

import { LogitColumn } from "../../laws/numbers.js";
import type { Followed, Seen } from "../interface.js";
import type { Decoder } from "./decoder.js";
import { forget, type Part, readParts, type Said } from "./parts.js";

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

async function readAll(decoder: Decoder, texts: readonly Followed[], signal: AbortSignal | undefined): Promise<Seen[][]> {
  const all = texts.map((): Seen[] => []);
  const last = decoder.texts.length - 1;
  // The last sequence keeps what all begin with.
  const common = last > 0 && texts.length > 1 ? commonBeginning(texts) : 0;
  const places = common > 0 ? last : last + 1;
  if (common > 0) {
    const [{ tokens, from }] = texts as [Followed];
    await readParts(decoder, [{ tokens, from, sequence: last, first: 0, end: common }], {}, () => undefined, signal);
  }
  for (let at = 0; at < texts.length; at += places) {
    if (at > 0) for (let sequence = 0; sequence < places; sequence++) decoder.context.remove(sequence, -1, -1);
    const parts = texts.slice(at, at + places).map(({ tokens, from }, sequence): Part => {
      if (common > 0) decoder.context.copy(last, sequence, 0, -1);
      return { tokens, from, sequence, first: common, end: tokens.length - 1 };
    });
    const tell = ({ tokens, sequence }: Part, i: number, { numbers, likeliest }: Said) => {
      const [below, weight] = [numbers[LogitColumn.below] as number, numbers[LogitColumn.weight] as number];
      all[at + sequence]?.push({ logProbability: below - Math.log(weight), likeliest: likeliest === tokens[i + 1] });
    };
    await readParts(decoder, parts, {}, tell, signal);
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
