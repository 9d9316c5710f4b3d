// An audit as a page, and as tables for a terminal: what the numbers say, and what follows from them.

import { type Figure, type Page, type Part, series } from "../../report/page.js";
import { grouped, percent, significant, table } from "../../report/table.js";
import { shareWithin } from "../page/look.js";
import { REST } from "./groups.js";
import type { Audit, Fragility } from "./records.js";

/** Of the weights, the share that is told to bear fewer bits, and the share that deserves more. */
const STURDY = 0.25;
const FRAIL = 0.1;
/** Groups that a terminal shows of each end. */
const SHOWN = 6;

const paragraph = (text: string): Part => ({ kind: "paragraph", text });
const perWeight = ({ fragility, weights }: Fragility): number => fragility / weights;
const byWeight = ({ groups }: Audit): Fragility[] =>
  groups.filter(({ name }) => name !== REST).sort((a, b) => perWeight(a) - perWeight(b));

/** The groups at one end, up to this share of all weights. */
function end(groups: readonly Fragility[], share: number): Fragility[] {
  const most = share * groups.reduce((sum, { weights }) => sum + weights, 0);
  let taken = 0;
  return groups.filter(({ weights }) => {
    taken += weights;
    return taken <= most;
  });
}

/** The whole report, for `renderPage`. */
export function auditPage(audit: Audit): Page {
  const { model, settings, text, points, hidden, task } = audit;
  const layered = audit.groups.filter(({ layer }) => layer !== null);
  return {
    title: `How ${model.file} answers to noise`,
    lead: `${breakingSaid(audit)} ${frailestSaid(audit)}`,
    foot: `brownian audit, ${model.file} (SHA-256 ${model.sha256.slice(0, 12)}…), ${grouped(text.tokens)} tokens, seed ${settings.seed}. The same model, text, settings and seed give the same numbers.`,
    sections: [
      {
        heading: "All weights at once",
        parts: [
          paragraph(`**${breakingSaid(audit)}**`),
          curveFigure(audit),
          pointsTable(audit),
          ...(hidden === null || task === null ? [] : [paragraph(hiddenSaid(audit))]),
        ],
      },
      {
        heading: "Group by group",
        parts: [
          paragraph(`**${frailestSaid(audit)}** ${additivitySaid(audit)} ${seedsSaid(audit)}`),
          ...(layered.length > 0 ? [heatFigure(audit)] : []),
          kindsTable(audit),
          groupsTable(audit),
        ],
      },
      { heading: "What follows", parts: followParts(audit) },
      { heading: "How it was measured", parts: [{ kind: "list", items: howMeasured(audit, points.length) }] },
    ],
  };
}

/** Where the model breaks. */
export function breakingSaid({ breaking, points, sigma }: Audit): string {
  return breaking.reached
    ? `From σ = ${significant(breaking.sigma)} on (in units of each tensor's RMS), noise costs more than ${breaking.nats} nats a token.`
    : `Up to σ = ${significant(points.at(-1)?.sigma ?? sigma)}, the largest measured, noise costs no more than ${breaking.nats} nats a token.`;
}

function frailestSaid(audit: Audit): string {
  const order = byWeight(audit);
  const [first, last] = [order[0], order.at(-1)];
  if (first === undefined || last === undefined || order.length < 2) return "There is one group alone.";
  const ratio = perWeight(last) / perWeight(first);
  return `A weight of ${last.name} is the frailest, one of ${first.name} the sturdiest: ${ratio < 1e6 ? `${significant(ratio)} times` : "hardly at all"} as much KL at the same noise.`.replace(
    "hardly at all as much KL at the same noise",
    "the latter does not matter on this text",
  );
}

function additivitySaid({ additivity, sigma, floor }: Audit): string {
  return `By what groups cost alone at σ = ${significant(sigma)}, all of them would cost ${percent(additivity)} of what they do cost together where the model breaks. The engine's own rounding costs ${significant(floor)} nats a token as soon as anything moves; that is taken off.`;
}

function seedsSaid({ rankCorrelation }: Audit): string {
  if (rankCorrelation === null) return "One draw each: how far the order is a matter of chance was not measured (`--seeds 2`).";
  return `Two draws rank the groups alike with ${rankCorrelation.toFixed(3)} (Spearman)${rankCorrelation < 0.9 ? ": read more tokens before you trust the order" : ""}.`;
}

function hiddenSaid({ hidden, settings }: Audit): string {
  if (hidden === null) return "";
  const { ratio, softmax } = hidden;
  const within = `${ratio.value.toFixed(2)} (${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)})`;
  const other = `${softmax.value.toFixed(2)} (${softmax.low.toFixed(2)} to ${softmax.high.toFixed(2)})`;
  const verdict =
    ratio.low > 1 && ratio.value > softmax.high
      ? "Noise makes it better than luck does: a reason to look for ability that it does not show"
      : "No sign of ability that it does not show";
  return `Best accuracy under noise by the clean one: ${within}, at σ = ${significant(hidden.sigma)}; best of as many softmax runs: ${other}. ${verdict}. Of ${settings.questions.length} questions.`;
}

function curveFigure({ points, nll, breaking }: Audit): Figure {
  const all = points.flatMap(({ sigma, kl, nll: own }) => [
    { what: "KL", sigma, nats: kl },
    { what: "NLL more", sigma, nats: Math.max(own - nll, 1e-4) },
  ]);
  const color = ({ what }: { readonly what: string }) => series(what === "KL" ? 1 : 0);
  return {
    kind: "figure",
    title: "KL and NLL against sigma",
    legend: [
      { label: "KL(clean ‖ moved)", color: series(1) },
      { label: "NLL more than clean", color: series(0) },
    ],
    caption:
      "Nats a token on logarithmic axes; NLL that is not above the clean one lies at the bottom. Dashed: where the model counts as broken.",
    plot: (Plot, { wide }) => ({
      height: wide ? 380 : 300,
      x: {
        type: "log",
        label: "sigma →",
        labelArrow: "none",
        ticks: points.map(({ sigma }) => sigma),
        tickFormat: (sigma: number) => significant(sigma),
      },
      y: {
        type: "log",
        label: "↑ nats a token",
        labelArrow: "none",
        grid: true,
        ticks: wide ? 6 : 4,
        tickFormat: (nats: number) => significant(nats),
      },
      marks: [
        ...(breaking.reached ? [Plot.ruleX([breaking.sigma], { strokeDasharray: "4 4", strokeOpacity: 0.6 })] : []),
        Plot.line(all, { x: "sigma", y: "nats", z: "what", stroke: color, strokeWidth: 2.2 }),
        Plot.dot(all, { x: "sigma", y: "nats", fill: color, r: 4 }),
      ],
    }),
  };
}

function pointsTable({ points, nll, task }: Audit): Part {
  return {
    kind: "table",
    head: ["sigma", "KL", "NLL more", "flips", ...(task === null ? [] : ["right"])],
    right: [0, 1, 2, 3, 4],
    rows: points.map(({ sigma, kl, nll: own, flips, accuracy }) => [
      significant(sigma),
      kl.toFixed(4),
      (own - nll).toFixed(4),
      percent(flips),
      ...(task === null ? [] : [accuracy === null ? "" : shareWithin(accuracy)]),
    ]),
  };
}

/** Layers against kinds, by fragility. */
function heatFigure({ groups }: Audit): Figure {
  const cells = groups.filter(({ layer }) => layer !== null);
  const kinds = [...new Set(cells.map(({ kind }) => kind))];
  const layers = [...new Set(cells.map(({ layer }) => layer as number))].sort((a, b) => a - b);
  const sizes = cells.map(({ fragility }) => fragility).filter((x) => x > 0);
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const depth = (x: number) => (x <= 0 ? 0 : most === least ? 1 : 0.06 + (0.94 * Math.log(x / least)) / Math.log(most / least));
  return {
    kind: "figure",
    title: "Fragility by layer and kind",
    caption: `KL by σ² of each group, moved alone, on a logarithmic scale: from ${significant(least)} (faintest) to ${significant(most)} nats a token (fullest).`,
    plot: (Plot, { wide }) => ({
      height: 70 + Math.max(14, Math.min(26, 520 / layers.length)) * layers.length,
      marginTop: wide ? 34 : 84,
      marginBottom: 12,
      marginLeft: 44,
      x: { type: "band", domain: kinds, label: null, axis: "top", tickRotate: wide ? 0 : -60, padding: 0.06 },
      y: {
        type: "band",
        domain: layers,
        label: "layer",
        labelArrow: "none",
        padding: 0.06,
        ticks: layers.filter((layer) => layer % Math.ceil(layers.length / 15) === 0),
      },
      marks: [
        Plot.cell(cells, {
          x: "kind",
          y: "layer",
          fill: series(0),
          fillOpacity: ({ fragility }: Fragility) => depth(fragility),
          title: ({ name, fragility }: Fragility) => `${name}: ${significant(fragility)}`,
        }),
      ],
    }),
  };
}

/** Sums over layers. */
function kindsTable({ groups }: Audit): Part {
  const kinds = [...new Set(groups.map(({ kind }) => kind))];
  const weights = (kind: string) => groups.filter((group) => group.kind === kind).reduce((sum, group) => sum + group.weights, 0);
  const total = (kind: string) => groups.filter((group) => group.kind === kind).reduce((sum, group) => sum + group.fragility, 0);
  const all = groups.reduce((sum, { fragility }) => sum + fragility, 0);
  return {
    kind: "table",
    head: ["kind", "weights", "KL by σ², all layers", "share", "KL by σ² and million weights"],
    right: [1, 2, 3, 4],
    rows: kinds.map((kind) => [
      kind,
      grouped(weights(kind)),
      significant(total(kind)),
      percent(total(kind) / all),
      significant((1e6 * total(kind)) / weights(kind)),
    ]),
  };
}

function groupsTable(audit: Audit, most = Number.POSITIVE_INFINITY): Part {
  const order = byWeight(audit).reverse();
  const shown = order.length <= 2 * most ? order : [...order.slice(0, most), ...order.slice(-most)];
  return {
    kind: "table",
    head: ["group", "weights", "KL by σ²", "KL by σ² and million weights"],
    right: [1, 2, 3],
    rows: shown.map((group) => [
      group.name,
      grouped(group.weights),
      significant(group.fragility),
      significant(1e6 * perWeight(group)),
    ]),
    caption: "The frailest weights first.",
  };
}

/** What may be done with it. */
function followParts(audit: Audit): Part[] {
  const order = byWeight(audit);
  const sturdy = end(order, STURDY);
  const frail = end([...order].reverse(), FRAIL);
  const flags = (groups: readonly Fragility[], type: string) =>
    groups.flatMap(({ tensors }) =>
      tensors.map((name) => `--tensor-type ${name.replace(/\.weight$/, "").replaceAll(".", "\\.")}=${type}`),
    );
  return [
    {
      kind: "list",
      items: [
        `**Fewer bits** for ${sturdy.length} groups that have ${percent(STURDY)} of the weights at most, and **more bits** for ${frail.length === 0 ? `none: the frailest alone has more than ${percent(FRAIL)}` : `${frail.length} that have ${percent(FRAIL)}`}. Options of llama-quantize are below. It is a suggestion: compare the NLL with that of a uniform choice of the same size.`,
        "**Noise that all bear alike**: `--scale fragility --audit results.json` gives sturdy tensors more noise and frail ones less, at the same mean square.",
      ],
    },
    { kind: "code", text: [...flags(sturdy, "q4_0"), ...flags(frail, "q8_0")].join("\n") || "one group: nothing follows" },
  ];
}

function howMeasured({ settings, text, groups, sigma, nll }: Audit, sigmas: number): string[] {
  const { windows, length, draws, seeds, each } = settings;
  return [
    `The clean model and then the moved one read ${windows} windows of ${length} tokens (${grouped(text.tokens)} predictions; clean NLL ${nll.toFixed(3)} nats), with the weights at rest (quenched). All weights at ${sigmas} sigmas, ${draws} draws each.`,
    `Then ${groups.length} groups (${each ? "every matrix by itself" : "one kind in one layer each"}; norms and biases together), each moved alone at σ = ${significant(sigma)} of each tensor's RMS, ${seeds} ${seeds === 1 ? "draw" : "draws"}. **Fragility** is KL(clean ‖ moved), less the floor, by σ²: to second order in the noise it does not depend on σ. The floor is the KL that the smallest noise on the same layer makes: llama.cpp rounds activations, and whatever moves makes them other ones.`,
    "About this text and these draws: other texts may need other tensors.",
  ];
}

/** The audit for a terminal. */
export function auditTable(audit: Audit): string {
  const plain = (part: Part) => (part.kind === "table" ? table([part.head, ...part.rows], part.right ?? []) : "");
  return [
    plain(pointsTable(audit)),
    breakingSaid(audit),
    plain(kindsTable(audit)),
    plain(groupsTable(audit, SHOWN)),
    `${additivitySaid(audit)} ${seedsSaid(audit)}`,
    ...(audit.hidden === null ? [] : [hiddenSaid(audit)]),
  ].join("\n\n");
}
