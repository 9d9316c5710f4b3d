// What a model thinks of the ends of texts that are there: the least that a search needs to know. One text after the other here; an engine that has
// several contexts reads them at once (llama-c/follow.ts).

import type { Engine, Followed, Seen } from "./interface.js";

/** {@link Engine.followAll} by `score`: for engines that have one context. */
export async function followEach(
  engine: Pick<Engine, "score">,
  texts: readonly Followed[],
  signal?: AbortSignal,
): Promise<Seen[][]> {
  const all: Seen[][] = [];
  for (const { tokens, from } of texts) {
    const seen: Seen[] = [];
    const visit = (i: number, { logProbability, likeliest }: { logProbability: number; likeliest: number }) =>
      seen.push({ logProbability, likeliest: likeliest === tokens[i + 1] });
    await engine.score(tokens, { from }, visit, undefined, signal);
    all.push(seen);
  }
  return all;
}
