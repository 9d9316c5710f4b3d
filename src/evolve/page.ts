// The report of a search as a page: what was learned generation by generation, what it cost elsewhere, and the controls beside it.

import type { Figure, Part, Plot, Room, Table } from "../report/page.js";
import { renderPage, series } from "../report/page.js";
import { grouped, percent } from "../report/table.js";
import type { Measured } from "./measure.js";
import type { Evolved } from "./run.js";

/** A search, or a control of it, by name. */
export type Told = readonly [name: string, done: Evolved];

/** What the centre got after so many generations. */
interface Look extends Measured {
  readonly name: string;
  readonly after: number;
}

/** What was measured of the centre, from the base to the end. */
function looksOf([name, { before, after, history, taken }]: Told): Look[] {
  const between = history.flatMap(({ generation, measured }) => (measured ? [{ ...measured, after: generation + 1 }] : []));
  const all = [{ ...before, after: 0 }, ...between.filter((look) => look.after < taken), { ...after, after: taken }];
  return all.map((look) => ({ ...look, name }));
}

const colorOf = (searches: readonly Told[]) => (name: string) => series(searches.findIndex(([other]) => other === name));

function legendOf(searches: readonly Told[]) {
  return searches.map(([label]) => ({ label, color: colorOf(searches)(label) }));
}

/** Rewards of the questions that judge, with intervals; of the first search its members, too. */
function rewards(searches: readonly Told[]): Figure {
  const looks = searches.flatMap(looksOf);
  const color = colorOf(searches);
  const [[first, { history }]] = searches as readonly [Told];
  const members = history.flatMap(({ generation, rewards: all }) =>
    all.flatMap((reward) => (reward === null ? [] : [{ after: generation, reward }])),
  );
  return {
    kind: "figure",
    title: "Rewards by generation",
    legend: legendOf(searches),
    caption:
      "Lines: the questions that judge, with 95 % intervals over questions. Small dots: members of the first search, on the questions of their generation.",
    plot: (Plot: Plot, { wide }: Room) => ({
      height: wide ? 420 : 320,
      grid: true,
      x: { label: "generations", labelArrow: "none" },
      y: { label: "↑ reward", labelArrow: "none" },
      marks: [
        Plot.dot(members, { x: "after", y: "reward", r: 1.5, fill: color(first), fillOpacity: 0.35 }),
        Plot.link(looks, {
          x1: "after",
          x2: "after",
          y1: "low",
          y2: "high",
          stroke: ({ name }: Look) => color(name),
          strokeOpacity: 0.5,
        }),
        Plot.line(looks, { x: "after", y: "reward", z: "name", stroke: ({ name }: Look) => color(name), strokeWidth: 2.2 }),
        Plot.dot(looks, { x: "after", y: "reward", fill: ({ name }: Look) => color(name), r: 3.5 }),
      ],
    }),
  };
}

/** How far the model went on other text, against what it gained. */
function price(searches: readonly Told[]): Figure {
  const looks = searches.flatMap(looksOf);
  const color = colorOf(searches);
  return {
    kind: "figure",
    title: "Reward against KL on other text",
    legend: legendOf(searches),
    caption: "Left is nearer to the model as it was, up is more reward. Each curve goes from the base on.",
    plot: (Plot: Plot, { wide }: Room) => ({
      height: wide ? 420 : 320,
      grid: true,
      x: { label: "KL, nats a token", labelArrow: "none" },
      y: { label: "↑ reward", labelArrow: "none" },
      marks: [
        Plot.line(looks, { x: "kl", y: "reward", z: "name", stroke: ({ name }: Look) => color(name), strokeWidth: 2.2 }),
        Plot.dot(looks, { x: "kl", y: "reward", fill: ({ name }: Look) => color(name), r: 3.5 }),
      ],
    }),
  };
}

const fixed = (x: number | undefined): string => (x === undefined ? "" : x.toFixed(3));

function rowOf(name: string, { reward, low, high, first, last, exact, kl, nll }: Measured): string[] {
  const interval = `${fixed(low)} to ${fixed(high)}`;
  return [
    name,
    fixed(reward),
    interval,
    fixed(first),
    fixed(last),
    exact === undefined ? "" : percent(exact),
    fixed(kl),
    fixed(nll),
  ];
}

function figuresOf(searches: readonly Told[]): Table {
  const [[, { before }]] = searches as readonly [Told];
  return {
    kind: "table",
    head: ["", "reward", "95 %", "first token", "last token", "word for word", "KL", "NLL of the text"],
    rows: [rowOf("before", before), ...searches.map(([name, { after }]) => rowOf(name, after))],
    right: [1, 2, 3, 4, 5, 6, 7],
  };
}

/** The finding above the curves: whether the reward rose by more than its intervals, and what the controls got. */
function learnedSaid(searches: readonly Told[]): string {
  const [[, { before, after, taken }], ...controls] = searches as readonly [Told, ...Told[]];
  const verdict =
    after.low > before.high
      ? "the intervals do not meet"
      : after.high < before.low
        ? "it fell, and the intervals do not meet"
        : "the intervals meet, so that it may be chance";
  const others = controls.map(([name, done]) => `${name} ${fixed(done.after.reward)}`);
  return `**The reward of questions that were not learned from went from ${fixed(before.reward)} to ${fixed(after.reward)}** in ${taken} generations: ${verdict}.${others.length === 0 ? "" : ` For comparison: ${others.join(", ")}.`}`;
}

/** The finding above the price: how far the model went on text that has nothing to do with the task. */
function costSaid(searches: readonly Told[]): string {
  const [[, { before, after }]] = searches as readonly [Told];
  const nll =
    before.nll === undefined || after.nll === undefined
      ? ""
      : `, and its NLL of that text from ${fixed(before.nll)} to ${fixed(after.nll)}`;
  return `**On other text the model went ${fixed(after.kl)} nats a token from where it was** (KL)${nll}.`;
}

const paragraph = (text: string): Part => ({ kind: "paragraph", text });

/**
 * The page as HTML: the search first, its controls after it.
 * @throws BrownianError package-missing where Plot is not installed
 */
export function evolutionPage(model: string, searches: readonly Told[]): Promise<string> {
  const [[, done]] = searches as readonly [Told];
  const measured = done.before.kl === undefined ? [] : [price(searches)];
  return renderPage({
    title: `${model}, evolved`,
    lead: `${done.generations} generations by reward alone: ${fixed(done.before.reward)} became ${fixed(done.after.reward)} on questions that were not learned from.`,
    sections: [
      { heading: "What was learned", parts: [paragraph(learnedSaid(searches)), rewards(searches), figuresOf(searches)] },
      ...(measured.length > 0
        ? [{ heading: "What it cost elsewhere", parts: [paragraph(costSaid(searches)), ...measured] }]
        : []),
    ],
    foot: `${grouped(done.evaluations)} readings in ${Math.round(done.seconds)} s; ${grouped(done.changed)} of ${grouped(done.weights)} codes differ (${percent(done.changed / done.weights)}).`,
  });
}
