// What is said of a search: a line at every look, and a report at the end.

import type { Evolved, LogGeneration, Measured } from "../evolve/index.js";
import { grouped, percent, significant, table } from "../report/table.js";
import { remark } from "./print.js";

const signed = (x: number | undefined): string => (x === undefined ? "" : x.toFixed(3));
const share = (x: number | undefined): string => (x === undefined ? "" : percent(x));

const COLUMNS = ["", "reward", "95 %", "first token", "last token", "word for word", "KL", "NLL of the text"] as const;

const row = (name: string, { reward, low, high, first, last, exact, kl, nll }: Measured): string[] => [
  name,
  signed(reward),
  `${signed(low)} to ${signed(high)}`,
  signed(first),
  signed(last),
  share(exact),
  signed(kl),
  signed(nll),
];

/** Says what a generation came to, where that is worth a line; times are told of what is left. */
export function watcher(generations: number): (generation: LogGeneration) => void {
  const begun = performance.now();
  let seen = 0;
  return ({ generation, rewards, measured, stood, changed }) => {
    seen++;
    if (stood !== undefined) remark(`generation ${generation}: ${stood}; the model does not move`);
    if (measured === undefined) return;
    const best = Math.max(...rewards.map((r) => r ?? Number.NEGATIVE_INFINITY));
    const left = ((performance.now() - begun) / seen / 1000) * (generations - generation - 1);
    const { reward, low, high, kl } = measured;
    remark(
      `generation ${generation}: ${signed(reward)} (${signed(low)} to ${signed(high)}), best member ${signed(best)}, ` +
        `${kl === undefined ? "" : `KL ${significant(kl)}, `}${grouped(changed)} codes changed, ${Math.round(left)} s left`,
    );
  };
}

const SPARKS = "▁▂▃▄▅▆▇█";

/** Mean rewards by generation, as a line of bars from the least to the greatest. @param whose "members", "candidates" */
export function curve(whose: string, history: readonly Pick<LogGeneration, "rewards">[]): string {
  const means = history.flatMap(({ rewards }) => {
    const there = rewards.filter((r): r is number => r !== null);
    return there.length === 0 ? [] : [there.reduce((sum, r) => sum + r, 0) / there.length];
  });
  if (means.length < 2) return "";
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const bars = means.map((mean) => SPARKS[Math.min(7, Math.floor((8 * (mean - least)) / (most - least || 1)))]);
  return `${whose}' mean reward by generation, ${significant(least)} to ${significant(most)}: ${bars.join("")}`;
}

/** Figures of several models below each other. */
export const measuredTable = (rows: readonly (readonly [name: string, Measured])[]): string =>
  table([[...COLUMNS], ...rows.map(([name, measured]) => row(name, measured))], [1, 2, 3, 4, 5, 6, 7]);

/** The report: before and after, and the controls where they were run. */
export function report(done: Evolved, controls: readonly (readonly [name: string, Evolved])[]): string {
  const why = { generations: "all were done", minutes: "the time was over", patience: "it became no better" }[done.stopped];
  const went = done.taken < done.generations ? `; the model is that of ${done.taken} of them, which judged best` : "";
  return [
    measuredTable([
      ["before", done.before],
      ["after", done.after],
      ...controls.map(([name, control]) => [name, control.after] as const),
    ]),
    "",
    curve("members", done.history),
    `${done.generations} generations (${why})${went}; ${grouped(done.evaluations)} readings in ${Math.round(done.seconds)} s`,
    `${grouped(done.changed)} of ${grouped(done.weights)} codes differ (${percent(done.changed / done.weights)})`,
  ].join("\n");
}
