// The words that help texts use and that are this project's own, or physics': explained below the options of every command that uses them.

import { table } from "../report/table.js";
import { DYNAMICS } from "../thermostat/dynamics/index.js";

const WORDS = {
  sigma: "standard deviation of the noise on a weight: how far weights move",
  RMS: "root mean square: the size of a tensor's weights; sigma 0.05 RMS is noise of 5 % of it",
  dynamics: "the rule by which the noise changes while a text is written:",
  tau: "correlation time: after tau tokens about a third (1/e) of the noise is still the same",
  tick: "one step of a dynamics: a token",
  rails: "the ends of a format's range, beyond which no weight can move: there it moves less than sigma says",
} as const;

/** What help says of these words; of dynamics, each. */
export function wordsText(...words: readonly (keyof typeof WORDS)[]): string {
  const rows = words.flatMap((word) => [
    [`  ${word}`, WORDS[word]],
    ...(word === "dynamics" ? Object.values(DYNAMICS).map(({ name, summary }) => [`    ${name}`, summary]) : []),
  ]);
  return `\nWords (all others: docs/glossary.md):\n${table(rows)}`;
}
