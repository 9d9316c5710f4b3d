// What members on other servers think of an answer, by the likeliest tokens that they tell with their own: where their text is the same so far, these are
// what they expect in this place.

import type { ServedToken } from "../adapters/index.js";
import { entropy } from "../sampling/index.js";
import { ensembleEntropy } from "../sampling/uncertainty.js";
import type { Uncertain } from "./writer.js";

/** Tokens in every place that members are asked for: as many as all servers tell. */
export const LIKELIEST = 20;

/**
 * For every token what the members whose text is the same before it think of it; undefined where fewer than two are left. What they do not tell one by
 * one counts as one outcome more: entropies are a little too low, the more so the flatter the predictions are.
 */
export function beliefsOf(
  texts: readonly string[],
  answers: readonly (readonly ServedToken[])[],
): readonly (Uncertain | undefined)[] {
  let same = answers;
  return texts.map((text, i) => {
    const there = same.flatMap((tokens) => (tokens[i] === undefined ? [] : [lawOf(tokens[i])]));
    same = same.filter((tokens) => tokens[i]?.text === text);
    return there.length < 2 ? undefined : { ...belief(text, there), members: there.length };
  });
}

/** Probabilities by token; what is not told has the name undefined. */
type Law = ReadonlyMap<string | undefined, number>;

function lawOf({ text, logProbability, top = [] }: ServedToken): Law {
  const law = new Map<string | undefined, number>([[text, Math.exp(logProbability)]]);
  for (const one of top) law.set(one.text, Math.exp(one.logProbability));
  const told = [...law.values()].reduce((sum, p) => sum + p, 0);
  return law.set(undefined, Math.max(0, 1 - told));
}

function belief(text: string, laws: readonly Law[]) {
  const mean = new Map<string | undefined, number>();
  for (const law of laws) for (const [token, p] of law) mean.set(token, (mean.get(token) ?? 0) + p / laws.length);
  const expected = laws.reduce((sum, law) => sum + entropy([...law.values()]), 0) / laws.length;
  const { total, information } = ensembleEntropy([...mean.values()], expected);
  return { probability: mean.get(text) ?? 0, total, information };
}
