// A comparison as a page, as a figure of its own, and as a table for terminals. Says what the numbers say, and nothing that they do not.

import { type Page, type Part, type Plot, type Room, series } from "../report/page.js";
import { grouped, percent, significant, table } from "../report/table.js";
import type { Estimate } from "../sampling/index.js";
import {
  type Comparison,
  METHODS,
  METRICS,
  type Method,
  type MethodName,
  type MetricName,
  type Point,
  type Pooled,
} from "./comparison.js";

type Figure = Extract<Part, { kind: "figure" }>;

const LOOK: Readonly<Record<MethodName, { label: string; color: string }>> = {
  greedy: { label: "greedy", color: series(7) },
  softmax: { label: "softmax", color: series(0) },
  logits: { label: "logit noise", color: series(6) },
  quenched: { label: "quenched weights", color: series(1) },
  white: { label: "white weights", color: series(2) },
  andersen: { label: "andersen weights", color: series(3) },
  langevin: { label: "langevin weights", color: series(4) },
};

/** Metrics that are put beside softmax's in a figure, and whether more is what one would want. */
const SHOWN = ["nll", "selfBleu", "distinct2", "repetition", "rare"] as const;

/** The whole report. */
export function comparisonPage(comparison: Comparison): Page {
  const { settings, profile, model } = comparison;
  const { levels, beyond, samples, prompts, maxTokens, tau } = settings;
  const texts = comparison.texts.length;
  const method = [
    `Every method has one dial, and all are tuned to the same flip rates: those of softmax at T = ${listed(levels.map(significant))}. tau is fixed at ${significant(tau)} tokens. Dials are tuned on one part of a text that is read teacher-forced (${settings.tuneWindows} windows of ${maxTokens} tokens) and checked on another (${settings.checkWindows} windows); moving weights move between tokens there as they do while a text is written, with a draw of their own in every window.`,
    `Weights get one factor for each dynamics on what the calibration says of quenched ones, the same at all levels: ${listed(Object.entries(comparison.factors).map(([name, factor]) => `${name} ${significant(factor)}`))}.`,
    `Every method writes ${samples} texts of each of ${prompts.length} prompts at each level, all of exactly ${maxTokens} tokens: a token that ends texts is written like any other and does not end the text. Moving weights are read off greedily: no dice are rolled at the output.`,
    `**NLL**: negative log-likelihood of the text under the clean model, in nats a token, of the tokens as they were written. It is the clean model's own opinion, and rewards what it would have said anyway, loops included.`,
    `**self-BLEU**: self-BLEU-4 (Zhu et al. 2018) of the texts of a prompt as tokens; counts of matches that are 0 count 0.1 (method 1 of Chen & Cherry 2014). **distinct-n**: different n-grams / all (Li et al. 2016). **compression**: bytes / bytes after zlib at level 9. **repetition**: share of a text's 4-grams that it had before (Welleck et al. 2020). Sets of one prompt each, averaged over prompts.`,
    `**same top**: share of the written tokens that the clean model finds likeliest at their place. **rare**: share to which it gives less than 1 %. **KL**: of the clean model's law of the next token to the moved one's, on the text that was read; 0 for greedy and softmax, which change no prediction.`,
    `Intervals are 95 %: bootstrap over texts (Efron 1979) for means; for figures of whole sets halves of the texts without replacement (Shao & Wu 1989), since a text that is chosen twice would be its own reference; bootstrap over windows for flip rates. Many are shown: of twenty that say nothing, one will miss 0.`,
  ];
  return {
    title: "Moving weights beside softmax",
    lead: lead(comparison),
    foot: `brownian compare, ${model.file} (SHA-256 ${model.sha256.slice(0, 12)}…), seed ${settings.seed}, ${grouped(texts)} texts of ${maxTokens} tokens. The same model, text, settings and seed give the same numbers, tokens per second aside.`,
    sections: [
      {
        heading: "Quality and diversity",
        parts: [comparisonFigure(comparison), pooledTable(comparison), { kind: "paragraph", text: reading(comparison) }],
      },
      {
        heading: "At equal flip rates",
        parts: [
          {
            kind: "paragraph",
            text: `The flip rate is how often a method picks another token than the clean model's likeliest, given the same text so far. Moving weights can be tuned to softmax's up to T = ${significant(profile.breaking.temperature)}; beyond, they cost the model more than ${profile.breaking.nats} nats a token, so that flips are no longer a choice but damage.`,
          },
          differencesFigure(comparison),
          pointsTable(comparison),
          ...(beyond.length > 0
            ? [
                {
                  kind: "paragraph" as const,
                  text: `Levels above ${significant(profile.breaking.temperature)} lie beyond the breaking point: there the dials are what the calibration says, and equal flip rates were not checked.`,
                },
              ]
            : []),
        ],
      },
      {
        heading: "How equal, as measured",
        parts: [flipsFigure(comparison), flipsTable(comparison), sigmaFigure(comparison)],
      },
      {
        heading: "What weights remember",
        parts: [
          {
            kind: "paragraph",
            text: "Correlation of the moves of real weights with those of the first token, measured on the live file (dots), and what theory says (lines): e^(−t/τ) for andersen and langevin, nothing for white.",
          },
          memoryFigure(comparison, "correlation"),
          memoryFigure(comparison, "variance"),
        ],
      },
      { heading: "Texts side by side", parts: sampleParts(comparison) },
      {
        heading: "How it was measured",
        parts: [{ kind: "list", items: method }],
      },
    ],
  };
}

/** What the numbers say of moving weights, in a sentence or two. */
function lead(comparison: Comparison): string {
  const moving = (one: Pooled) => dynamicsOf(one.method) !== undefined && one.metric === "nll";
  const said = (at: Pooled["at"]) => verdict(comparison.pooled.filter((one) => one.at === at && moving(one)));
  const opening = `Ways to make a language model's texts different: dice at the output, noise on the logits, and weights that move.`;
  const flips = said("equal flips");
  const diversity = said("equal diversity");
  return [
    opening,
    ...(flips === "" ? [] : [`At equal flip rates ${flips}.`]),
    ...(diversity === "" ? [] : [`At equal diversity ${diversity}.`]),
  ].join(" ");
}

function verdict(estimates: readonly Pooled[]): string {
  const groups = [
    { words: "likelier under the clean model than softmax's", of: estimates.filter((one) => one.high < 0) },
    { words: "less likely under the clean model than softmax's", of: estimates.filter((one) => one.low > 0) },
  ];
  const told = groups
    .filter((group) => group.of.length > 0)
    .map(({ words, of }) => {
      const sizes = of.map((one) => Math.abs(one.value)).sort((a, b) => a - b);
      const [least, most] = [sizes[0] as number, sizes.at(-1) as number];
      const size = least.toFixed(2) === most.toFixed(2) ? least.toFixed(2) : `${least.toFixed(2)} to ${most.toFixed(2)}`;
      return `texts of ${listed(of.map((one) => one.method))} weights are ${words} (by ${size} nats a token)`;
    });
  const rest = estimates.filter((one) => one.low <= 0 && one.high >= 0);
  if (rest.length > 0)
    told.push(
      `those of ${listed(rest.map((one) => one.method))} ${told.length > 0 ? "" : "weights "}could not be told apart from softmax's in likelihood`,
    );
  return told.join("; ");
}

function reading({ settings }: Comparison): string {
  const words = `Differences are to softmax; **bold** where the interval leaves 0 out. At equal flips: at the same level, averaged over T = ${listed(settings.levels.map(significant))}. At equal diversity: along each method's curve, where its self-BLEU is softmax's. NLL below 0 means likelier text than softmax's; self-BLEU below 0 means more diverse.`;
  return words;
}

/** Quality against diversity: the curve of every method, with intervals. */
export function comparisonFigure(comparison: Comparison): Figure {
  const { points, settings } = comparison;
  return {
    kind: "figure",
    title: "Quality against diversity of the texts of every method",
    labelled: true,
    legend: legend(comparison),
    caption: `Up is likelier under the clean model, right is more diverse: the further up and right, the better. Each curve is one method from greedy on, its dial growing; filled dots are the equal flip rates (softmax at T = ${listed(settings.levels.map(significant))}), hollow ones lie beyond the breaking point. Whiskers: 95 % intervals over texts.`,
    plot: (Plot, room) => {
      const greedy = points.find(({ method }) => method === "greedy");
      const curves = shown(comparison)
        .filter((method) => method !== "greedy")
        .map((method) =>
          [...(greedy ? [greedy] : []), ...points.filter((point) => point.method === method)].map((point) => ({
            ...point,
            method,
          })),
        );
      const all = curves.flat();
      const x = (point: Point) => point.metrics.selfBleu.value;
      const y = (point: Point) => point.metrics.nll.value;
      const color = (point: Point) => LOOK[point.method].color;
      const own = points.filter((point) => point.method !== "greedy");
      return {
        height: room.wide ? 520 : 400,
        marginRight: room.wide ? 180 : 16,
        grid: true,
        x: { reverse: true, label: "self-BLEU: alike → diverse", labelArrow: "none" },
        y: { reverse: true, label: "↑ likelier (NLL, nats a token)", labelArrow: "none" },
        marks: [
          Plot.link(own, { x1: low("selfBleu"), x2: high("selfBleu"), y1: y, y2: y, stroke: color, strokeOpacity: 0.35 }),
          Plot.link(own, { x1: x, x2: x, y1: low("nll"), y2: high("nll"), stroke: color, strokeOpacity: 0.35 }),
          Plot.line(all, { x, y, z: "method", stroke: color, strokeWidth: 2.2, strokeLinejoin: "round" }),
          Plot.dot(own, {
            x,
            y,
            fill: (point: Point) => (point.beyond ? "var(--ground)" : color(point)),
            stroke: color,
            strokeWidth: 2,
            r: room.wide ? 4.5 : 3.5,
            title: (point: Point) =>
              `${LOOK[point.method].label}, ${dialled(point)}: NLL ${point.metrics.nll.value.toFixed(2)}, self-BLEU ${point.metrics.selfBleu.value.toFixed(2)}`,
          }),
          ...(greedy ? [Plot.dot([greedy], { x, y, symbol: "square", fill: LOOK.greedy.color, r: 5 })] : []),
          ...(room.wide ? endLabels(Plot, curves, x, y, greedy) : []),
        ],
      };
    },
  };
}

/** Names at the right edge, in the order of the curves' ends, kept apart. */
function endLabels(
  Plot: Plot,
  curves: readonly (readonly Point[])[],
  x: (point: Point) => number,
  y: (point: Point) => number,
  greedy: Point | undefined,
) {
  const ends = curves
    .map((curve) => curve.at(-1) as Point)
    .sort((a, b) => y(a) - y(b))
    .map((point, rank) => ({ point, rank }));
  const names = ends.map(({ point, rank }) =>
    Plot.text([point], {
      frameAnchor: "top-right",
      text: () => LOOK[point.method].label,
      fill: LOOK[point.method].color,
      fontWeight: 600,
      textAnchor: "start",
      dx: 14,
      dy: 8 + rank * 22,
    }),
  );
  return [
    ...names,
    ...(greedy
      ? [
          Plot.text([greedy], {
            x,
            y,
            text: () => "greedy",
            dy: 18,
            textAnchor: "start",
            dx: -4,
            fill: LOOK.greedy.color,
            fontWeight: 600,
          }),
        ]
      : []),
  ];
}

const low = (metric: MetricName) => (point: Point) => point.metrics[metric].low;
const high = (metric: MetricName) => (point: Point) => point.metrics[metric].high;

/** What each method's texts are more or less of than softmax's, over all levels. */
function differencesFigure(comparison: Comparison): Figure {
  const all = comparison.pooled.filter((one) => one.at === "equal flips" && (SHOWN as readonly string[]).includes(one.metric));
  const methods = shown(comparison).filter((method) => all.some((one) => one.method === method));
  const label = (one: Pooled) => METRICS[one.metric].label;
  return {
    kind: "figure",
    title: "Differences to softmax at equal flip rates, averaged over levels",
    legend: legend(comparison).filter(({ label: name }) => methods.some((method) => LOOK[method].label === name)),
    caption: `Minus softmax's, at equal flip rates, averaged over levels; NLL in nats a token, the others in their own units. Whiskers: 95 % intervals.`,
    plot: (Plot, { wide }: Room) => ({
      height: wide ? 60 + 30 * methods.length : 120 * SHOWN.length,
      marginLeft: wide ? 130 : 16,
      marginRight: wide ? 24 : 90,
      marginTop: wide ? 36 : 24,
      x: { label: "difference to softmax →", labelArrow: "none", grid: true, ticks: wide ? 2 : 6 },
      y: {
        axis: wide ? ("left" as const) : null,
        label: null,
        domain: methods.map((method) => LOOK[method].label),
        type: "band" as const,
      },
      ...(wide
        ? { fx: { label: null, domain: SHOWN.map((metric) => METRICS[metric].label), padding: 0.2 } }
        : { fy: { axis: "right" as const, label: null, domain: SHOWN.map((metric) => METRICS[metric].label), padding: 0.12 } }),
      marks: [
        Plot.ruleX([0], { strokeOpacity: 0.6 }),
        Plot.link(all, {
          ...(wide ? { fx: label } : { fy: label }),
          x1: "low",
          x2: "high",
          y1: (one: Pooled) => LOOK[one.method].label,
          y2: (one: Pooled) => LOOK[one.method].label,
          stroke: (one: Pooled) => LOOK[one.method].color,
          strokeWidth: 2.5,
          strokeOpacity: 0.6,
        }),
        Plot.dot(all, {
          ...(wide ? { fx: label } : { fy: label }),
          x: "value",
          y: (one: Pooled) => LOOK[one.method].label,
          fill: (one: Pooled) => LOOK[one.method].color,
          r: 4.5,
          title: (one: Pooled) => `${LOOK[one.method].label}, ${label(one)}: ${withInterval(one, 3)}`,
        }),
      ],
    }),
  };
}

function flipsFigure(comparison: Comparison): Figure {
  const { flips, softmaxCurve, settings } = comparison;
  const last = Math.max(...settings.levels) * 1.35;
  const curve = softmaxCurve.filter((point) => point.temperature <= last);
  const others: MethodName[] = shown(comparison).filter((method) => method !== "softmax" && method !== "greedy");
  const spread = last / 90;
  const measured = flips
    .filter(({ method }) => method !== "softmax")
    .map((one) => ({ ...one, x: one.level + (others.indexOf(one.method) - (others.length - 1) / 2) * spread }));
  return {
    kind: "figure",
    title: "Flip rates of all methods at the levels",
    legend: legend(comparison).filter(({ label }) => label !== "greedy"),
    caption: `How often another token than the clean model's likeliest is picked, on the windows that dials were not tuned on. Line: softmax at T, which needs no draws. Dots: the others at the dials that they were tuned to (side by side, to be seen), with 95 % intervals over windows.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 400 : 320,
      x: { label: "T →", labelArrow: "none", domain: [0, last] },
      y: { label: "↑ flip rate", labelArrow: "none", tickFormat: "%", grid: true, zero: true },
      marks: [
        Plot.line([{ temperature: 0, flipRate: 0 }, ...curve], {
          x: "temperature",
          y: "flipRate",
          stroke: LOOK.softmax.color,
          strokeWidth: 2.2,
        }),
        Plot.ruleX(measured, {
          x: "x",
          y1: (d) => d.rate.low,
          y2: (d) => d.rate.high,
          stroke: (d) => LOOK[d.method as MethodName].color,
          strokeWidth: 2,
          strokeOpacity: 0.6,
        }),
        Plot.dot(measured, { x: "x", y: (d) => d.rate.value, fill: (d) => LOOK[d.method as MethodName].color, r: 4 }),
      ],
    }),
  };
}

function sigmaFigure(comparison: Comparison): Figure {
  const { flips, profile } = comparison;
  const measured = flips.filter(({ method }) => dynamicsOf(method) !== undefined);
  const curve = [{ sigma: 0, flipRate: 0, low: 0, high: 0 }, ...profile.noise];
  const color = "currentColor";
  return {
    kind: "figure",
    title: "Flip rate against sigma",
    legend: legend(comparison).filter(({ label }) =>
      shown(comparison).some((m) => LOOK[m].label === label && dynamicsOf(m) !== undefined),
    ),
    caption: `Grey: the model's calibration, quenched weights read in windows of the whole context. Dots: the dynamics at their dials, in motion. From the dashed line on, moving weights cost the model more than ${profile.breaking.nats} nats a token.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 380 : 300,
      x: { label: "sigma (in units of each tensor's RMS) →", labelArrow: "none" },
      y: { label: "↑ flip rate", labelArrow: "none", tickFormat: "%", grid: true },
      marks: [
        Plot.areaY(curve, { x: "sigma", y1: "low", y2: "high", fill: color, fillOpacity: 0.12 }),
        Plot.line(curve, { x: "sigma", y: "flipRate", stroke: color, strokeOpacity: 0.5, strokeWidth: 1.5 }),
        Plot.ruleX([profile.breaking.sigma], { stroke: color, strokeDasharray: "4 4", strokeOpacity: 0.7 }),
        Plot.text([profile.breaking.sigma], {
          x: (d: number) => d,
          frameAnchor: "top",
          text: () => "the model breaks",
          textAnchor: "start",
          dx: 6,
          dy: 4,
          fillOpacity: 0.7,
        }),
        Plot.ruleX(measured, {
          x: "dial",
          y1: (d) => d.rate.low,
          y2: (d) => d.rate.high,
          stroke: (d) => LOOK[d.method as MethodName].color,
          strokeWidth: 2,
          strokeOpacity: 0.6,
        }),
        Plot.dot(measured, { x: "dial", y: (d) => d.rate.value, fill: (d) => LOOK[d.method as MethodName].color, r: 4 }),
      ],
    }),
  };
}

const MEMORY_LOOK: Readonly<Record<string, string>> = {
  white: LOOK.white.color,
  andersen: LOOK.andersen.color,
  langevin: LOOK.langevin.color,
  wiener: series(5),
};

function memoryFigure({ memory, settings }: Comparison, what: "correlation" | "variance"): Figure {
  const names = Object.keys(memory).filter((name) => what === "variance" || name !== "wiener");
  const points = names.flatMap((name) =>
    (memory[name] ?? []).map((one) => ({ name, tick: one.tick, measured: one[what], theory: one.theory[what] })),
  );
  const far = Math.max(...points.map((point) => Math.abs(point.measured - point.theory)));
  const color = (point: { name: string }) => MEMORY_LOOK[point.name] as string;
  // Exponentials between the ticks that were looked at.
  const lines = names.flatMap((name) => {
    const last = Math.max(...points.map((point) => point.tick));
    const at = Array.from({ length: 65 }, (_, i) => (i * last) / 64);
    const own = (tick: number) => {
      if (what === "variance") return name === "wiener" ? tick / settings.tau : 1;
      return name === "white" ? (tick === 0 ? 1 : 0) : Math.exp(-tick / settings.tau);
    };
    return (what === "correlation" && name === "white" ? [0, 1, last] : at).map((tick) => ({ name, tick, theory: own(tick) }));
  });
  return {
    kind: "figure",
    title: what === "correlation" ? "Autocorrelation of moved weights" : "Variance of moved weights",
    legend: names.map((name) => ({ label: name, color: MEMORY_LOOK[name] as string })),
    caption:
      what === "correlation"
        ? `Correlation with the moves at tick 0, tau = ${significant(settings.tau)}. Farthest from theory: ${far.toFixed(3)}.`
        : `Mean square of the moves, in units of what was asked for. wiener's grows as t/τ; the others keep theirs. Weights at or near the ends of their format's range move less than asked, which shows as a little less than 1. Farthest from theory: ${far.toFixed(3)}.`,
    plot: (Plot, { wide }) => ({
      height: wide ? 340 : 280,
      x: { label: "tokens →", labelArrow: "none" },
      y: {
        label: what === "correlation" ? "↑ correlation with tick 0" : "↑ variance ÷ σ²",
        labelArrow: "none",
        grid: true,
        zero: true,
      },
      marks: [
        Plot.line(lines, { x: "tick", y: "theory", z: "name", stroke: color, strokeWidth: 1.8, strokeOpacity: 0.75 }),
        Plot.dot(points, { x: "tick", y: "measured", fill: color, r: 4.5 }),
      ],
    }),
  };
}

function pooledTable({ pooled, settings }: Comparison): Part {
  const methods = settings.methods.filter((method) => method !== "greedy" && method !== "softmax");
  const find = (method: MethodName, at: Pooled["at"], metric: MetricName) =>
    pooled.find((one) => one.method === method && one.at === at && one.metric === metric);
  const rows = methods.map((method) => [
    LOOK[method].label,
    cell(find(method, "equal diversity", "nll"), 3),
    ...SHOWN.map((metric) => cell(find(method, "equal flips", metric), 3)),
  ]);
  return {
    kind: "table",
    head: ["minus softmax", "NLL at equal diversity", ...SHOWN.map((metric) => `${METRICS[metric].label} at equal flips`)],
    right: Array.from({ length: SHOWN.length + 1 }, (_, i) => i + 1),
    rows,
  };
}

function cell(one: Estimate | undefined, digits: number): string {
  if (one === undefined) return "not reached";
  const text = withInterval(one, digits);
  return one.low > 0 || one.high < 0 ? `**${text}**` : text;
}

function withInterval({ value, low: least, high: most }: Estimate, digits: number): string {
  return `${signed(value, digits)} (${signed(least, digits)} to ${signed(most, digits)})`;
}

function signed(x: number, digits: number): string {
  return `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(digits)}`;
}

const COLUMNS = [
  "nll",
  "selfBleu",
  "distinct1",
  "distinct2",
  "distinct3",
  "compression",
  "repetition",
  "sameTop",
  "rare",
] as const;
const SHARES: readonly MetricName[] = ["repetition", "sameTop", "rare"];

function pointRow(comparison: Comparison, point: Point): string[] {
  const { method, level, metrics } = point;
  const flips = comparison.flips.find((one) => one.method === method && one.level === level);
  return [
    method === "greedy" ? "" : significant(level),
    LOOK[method].label,
    METHODS[method].dial === "none" ? "" : significant(point.dial),
    flips ? plusMinus(flips.rate, true) : "",
    ...COLUMNS.map((metric) => plusMinus(metrics[metric], SHARES.includes(metric))),
    flips ? flips.kl.toFixed(3) : "",
    String(Math.round(point.tokensPerSecond)),
  ];
}

const HEAD = ["level T", "method", "dial", "flips", ...COLUMNS.map((metric) => METRICS[metric].label), "KL", "tokens/s"];

/** "2.31 ±0.12": half the interval's width. */
function plusMinus({ value, low: least, high: most }: Estimate, share: boolean): string {
  const half = (most - least) / 2;
  if (share) return `${(100 * value).toFixed(1)} ±${(100 * half).toFixed(1)} %`;
  return `${value.toFixed(2)} ±${half.toFixed(2)}`;
}

function byLevel({ points }: Comparison): Point[] {
  return [...points].sort((a, b) => a.level - b.level);
}

function pointsTable(comparison: Comparison): Part {
  return {
    kind: "table",
    head: HEAD,
    rows: byLevel(comparison).map((point) => pointRow(comparison, point)),
    right: [0, ...HEAD.keys()].filter((column) => column !== 1),
    caption:
      "± half the 95 % interval. Dials: softmax T; sigma of the logits; sigma of the weights in units of RMS. Tokens per second depend on what else the machine did.",
  };
}

function flipsTable(comparison: Comparison): Part {
  return {
    kind: "table",
    head: ["level T", "method", "dial", "flips", "95 %", "minus softmax", "KL"],
    right: [0, 2, 3, 4, 5, 6],
    rows: comparison.flips.map(({ level, method, dial, rate, difference, kl }) => [
      significant(level),
      LOOK[method].label,
      significant(dial),
      percent(rate.value),
      `${percent(rate.low)} to ${percent(rate.high)}`,
      method === "softmax" ? "" : cellShare(difference),
      kl.toFixed(3),
    ]),
    caption:
      "Bold: the interval of the difference leaves 0 out, so the flip rates are not equal as far as these windows can tell.",
  };
}

function cellShare({ value, low: least, high: most }: Estimate): string {
  const text = `${signed(100 * value, 1)} % (${signed(100 * least, 1)} to ${signed(100 * most, 1)})`;
  return least > 0 || most < 0 ? `**${text}**` : text;
}

function sampleParts(comparison: Comparison): Part[] {
  const { settings, texts, points } = comparison;
  const { levels } = settings;
  const greedy = texts.find((one) => one.method === "greedy");
  const chosen = [...new Set([levels[Math.floor((levels.length - 1) / 3)], levels.at(-1)])] as number[];
  const card = (method: MethodName, level: number) => {
    const one = texts.find((text) => text.method === method && text.level === level);
    const point = points.find((p) => p.method === method && p.level === level);
    if (one === undefined || point === undefined) return [];
    const head = method === "greedy" ? "greedy" : `${LOOK[method].label}, ${dialled(point)}`;
    return [{ head, prompt: one.prompt, body: one.text, foot: `NLL ${one.nll.toFixed(2)}` }];
  };
  return chosen.flatMap((level): Part[] => [
    { kind: "paragraph", text: `The first text of each method at the flip rate of softmax at **T = ${significant(level)}**.` },
    {
      kind: "texts",
      texts: [
        ...(greedy ? card("greedy", 0) : []),
        ...settings.methods.filter((method) => method !== "greedy").flatMap((method) => card(method, level)),
      ],
    },
  ]);
}

function dialled({ method, dial }: Pick<Point, "method" | "dial">): string {
  if (METHODS[method].dial === "none") return "no dial";
  return `${METHODS[method].dial === "temperature" ? "T" : "σ"} = ${significant(dial)}`;
}

function shown({ settings }: Comparison): readonly MethodName[] {
  return settings.methods;
}

function legend(comparison: Comparison) {
  return shown(comparison).map((method) => LOOK[method]);
}

function dynamicsOf(method: MethodName): string | undefined {
  return (METHODS[method] as Method).dynamics;
}

function listed(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? "none") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}

/** The comparison for a terminal. */
export function comparisonTable(comparison: Comparison): string {
  const columns = ["nll", "selfBleu", "distinct2", "repetition", "rare"] as const;
  const rows = byLevel(comparison).map((point) => {
    const flips = comparison.flips.find((one) => one.method === point.method && one.level === point.level);
    return [
      point.method === "greedy" ? "" : significant(point.level),
      LOOK[point.method].label,
      METHODS[point.method].dial === "none" ? "" : significant(point.dial),
      flips ? plusMinus(flips.rate, true) : "",
      ...columns.map((metric) => plusMinus(point.metrics[metric], SHARES.includes(metric))),
      String(Math.round(point.tokensPerSecond)),
    ];
  });
  const head = ["T", "method", "dial", "flips", ...columns.map((metric) => METRICS[metric].label), "tokens/s"];
  const { pooled, settings } = comparison;
  const against = settings.methods
    .filter((method) => method !== "greedy" && method !== "softmax")
    .map((method) => {
      const find = (at: Pooled["at"], metric: MetricName) =>
        pooled.find((one) => one.method === method && one.at === at && one.metric === metric);
      const said = (one: Pooled | undefined) => (one ? withInterval(one, 3) : "not reached");
      return [
        LOOK[method].label,
        said(find("equal flips", "nll")),
        said(find("equal flips", "selfBleu")),
        said(find("equal diversity", "nll")),
      ];
    });
  return [
    table([head, ...rows], [0, 2, 3, 4, 5, 6, 7, 8, 9]),
    "",
    table([["minus softmax", "NLL at equal flips", "self-BLEU at equal flips", "NLL at equal diversity"], ...against], [1, 2, 3]),
    "",
    "± half the 95 % interval; in brackets the interval. NLL: nats a token under the clean model.",
  ].join("\n");
}
