// What a report says in sentences: its lead, how to read it, and how everything was measured. Says what the numbers say, and nothing that they do
// not.

import { significant } from "../../report/table.js";
import { DYNAMICS, dynamicsNames } from "../../thermostat/dynamics/index.js";
import { METRICS } from "../metrics.js";
import type { Comparison, Flips, Pooled } from "../records.js";
import { isMoving, LOOK, listed, SHOWN } from "./look.js";

/** The levels as a list: "0.15, 0.25 and 0.35". */
export function levelsListed({ settings }: Comparison): string {
  return listed(settings.levels.map(significant));
}

/** What the numbers say of moving weights, in a sentence or two. */
export function lead({ pooled }: Comparison): string {
  const said = (at: Pooled["at"]) =>
    verdict(pooled.filter((one) => one.at === at && isMoving(one.method) && one.metric === "nll"));
  const flips = said("equal flips");
  const diversity = said("equal diversity");
  return [
    `Ways to make a language model's texts different: dice at the output, noise on the logits, and weights that move.`,
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
      const [least, most] = [sizes[0] as number, sizes.at(-1) as number].map((size) => size.toFixed(2));
      const size = least === most ? least : `${least} to ${most}`;
      return `texts of ${listed(of.map((one) => one.method))} weights are ${words} (by ${size} nats a token)`;
    });
  const rest = estimates.filter((one) => one.low <= 0 && one.high >= 0);
  if (rest.length > 0)
    told.push(
      `those of ${listed(rest.map((one) => one.method))} ${told.length > 0 ? "" : "weights "}could not be told apart from softmax's in likelihood`,
    );
  return told.join("; ");
}

/** How the table of differences is read. */
export function howToRead(comparison: Comparison): string {
  return `Differences are to softmax; **bold** where the interval leaves 0 out. At equal flips: at the same level, averaged over T = ${levelsListed(comparison)}. At equal diversity: along each method's curve, where its self-BLEU is softmax's. NLL below 0 means likelier text than softmax's; self-BLEU below 0 means more diverse.`;
}

const clear = ({ low, high }: { readonly low: number; readonly high: number }) => low > 0 || high < 0;

/** How many intervals would leave 0 out if there were no differences at all. */
const byChance = (count: number): string => `by chance about ${(count / 20).toFixed(1)} would`;

/** The finding above the plot of differences: whose texts differ from softmax's, and in what. */
export function differencesSaid({ pooled }: Comparison): string {
  const all = pooled.filter(({ at, metric }) => at === "equal flips" && (SHOWN as readonly string[]).includes(metric));
  const told = SHOWN.flatMap((metric) => {
    const own = all.filter((one) => one.metric === metric && clear(one));
    return own.length === 0 ? [] : [`${METRICS[metric].label} of ${listed(own.map(({ method }) => LOOK[method].label))}`];
  });
  const finding = `**${all.filter(clear).length} of ${all.length} intervals leave 0 out**, ${byChance(all.length)}`;
  return `${finding}${told.length === 0 ? "" : `: ${told.join("; ")}`}.`;
}

/** The finding above the plot of flip rates: how equal they are. */
export function equalSaid({ flips }: Comparison): string {
  const beside = flips.filter(({ method }) => method !== "softmax");
  if (beside.length === 0) return "Nothing stands beside softmax here.";
  const most = Math.max(...beside.map(({ difference }) => Math.abs(difference.value)));
  return `**The flip rates differ from softmax's by ${(100 * most).toFixed(1)} points at most**; ${beside.filter(({ difference }) => clear(difference)).length} of ${beside.length} intervals leave 0 out, ${byChance(beside.length)}.`;
}

/** The finding above the plot against sigma: whether weights in motion flip as often as the calibration's frozen ones. */
export function motionSaid({ flips, profile }: Comparison): string {
  const moving = flips.filter(({ method }) => isMoving(method));
  if (moving.length === 0) return "No weights move here.";
  const curve = [{ sigma: 0, flipRate: 0 }, ...profile.noise];
  const off = moving.map((one) => Math.abs(one.rate.value - between(curve, one.dial)));
  return `**At their dials, moving weights flip within ${(100 * Math.max(...off)).toFixed(1)} points of what the calibration says** of quenched ones at the same sigma.`;
}

/** The curve's flip rate at sigma, on straight lines between its points. */
function between(curve: readonly { readonly sigma: number; readonly flipRate: number }[], sigma: Flips["dial"]): number {
  const next = Math.max(
    1,
    curve.findIndex((point) => point.sigma >= sigma),
  );
  const [a, b] = [curve[next - 1], curve[next]];
  if (a === undefined || b === undefined) return a?.flipRate ?? Number.NaN;
  return a.flipRate + ((sigma - a.sigma) / (b.sigma - a.sigma)) * (b.flipRate - a.flipRate);
}

/** What flip rates are, and how far they can be equal. */
export function flipRateSaid({ profile: { breaking } }: Comparison): string {
  return `The flip rate is how often a method picks another token than the clean model's likeliest, given the same text so far. Moving weights can be tuned to softmax's up to T = ${significant(breaking.temperature)}; beyond, they cost the model more than ${breaking.nats} nats a token, so that flips are no longer a choice but damage.`;
}

/** What the levels beyond the breaking point are. */
export function beyondSaid({ profile: { breaking } }: Comparison): string {
  return `Levels above ${significant(breaking.temperature)} lie beyond the breaking point: there the dials are what the calibration says, and equal flip rates were not checked.`;
}

/** What theory says of the correlation of moved weights, the dynamics that remember longest first. */
export function memorySaid({ memory }: Comparison): string {
  const seen = dynamicsNames.map((name) => DYNAMICS[name]).filter(({ name, theory }) => name in memory && theory.stationary);
  const sorted = seen.sort((a, b) => b.theory.correlation(1, 1, 0) - a.theory.correlation(1, 1, 0));
  const formulas = [...new Set(sorted.map(({ theory }) => theory.words.correlation))];
  const groups = formulas.map(
    (words) =>
      `${words} for ${listed(sorted.filter(({ theory }) => theory.words.correlation === words).map(({ name }) => name))}`,
  );
  return `Correlation of the moves of real weights with those of the first token, measured on the live file (dots), and what theory says (lines): ${groups.join(", ")}.`;
}

/** What theory says of the variance of moved weights. */
export function varianceSaid({ memory }: Comparison): string {
  const growing = dynamicsNames.map((name) => DYNAMICS[name]).filter(({ name, theory }) => name in memory && !theory.stationary);
  if (growing.length === 0) return "All keep theirs.";
  return `${listed(growing.map(({ name, theory }) => `${name}'s grows as ${theory.words.variance}`))}; the others keep theirs.`;
}

/** How everything was measured, in paragraphs. */
export function howMeasured(comparison: Comparison): string[] {
  const { settings, factors } = comparison;
  const { samples, prompts, maxTokens, tau, tuneWindows, checkWindows, precision, precisionNats } = settings;
  return [
    `Every method has one dial, and all are tuned to the same flip rates: those of softmax at T = ${levelsListed(comparison)}. tau is fixed at ${significant(tau)} tokens. Dials are tuned on one part of a text that is read teacher-forced (at most ${tuneWindows} windows of ${maxTokens} tokens) and checked on another (at most ${checkWindows} windows); reading ends where a flip rate minus softmax's is known within ${significant(100 * precision)} % of it (95 %); moving weights move between tokens there as they do while a text is written, with a draw of their own in every window.`,
    `Weights get one factor for each dynamics on what the calibration says of quenched ones, the same at all levels: ${listed(Object.entries(factors).map(([name, factor]) => `${name} ${significant(factor)}`))}.`,
    `Every method writes ${samples} texts of each of ${prompts.length} prompts at each level, all of exactly ${maxTokens} tokens: a token that ends texts is written like any other and does not end the text. They write no more where NLL minus softmax's, averaged over levels, is known within ${significant(precisionNats)} nats a token (95 %). Moving weights are read off greedily: no dice are rolled at the output.`,
    `**NLL**: negative log-likelihood of the text under the clean model, in nats a token, of the tokens as they were written. It is the clean model's own opinion, and rewards what it would have said anyway, loops included.`,
    `**self-BLEU**: self-BLEU-4 (Zhu et al. 2018) of the texts of a prompt as tokens; counts of matches that are 0 count 0.1 (method 1 of Chen & Cherry 2014). **distinct-n**: different n-grams / all (Li et al. 2016). **compression**: bytes / bytes after zlib at level 9. **repetition**: share of a text's 4-grams that it had before (Welleck et al. 2020). Sets of one prompt each, averaged over prompts.`,
    `**same top**: share of the written tokens that the clean model finds likeliest at their place. **rare**: share to which it gives less than 1 %. **KL**: of the clean model's law of the next token to the moved one's, on the text that was read; 0 for greedy and softmax, which change no prediction.`,
    `Intervals are 95 %: bootstrap over texts (Efron 1979) for means; for figures of whole sets halves of the texts without replacement (Shao & Wu 1989), since a text that is chosen twice would be its own reference; bootstrap over windows for flip rates. Many are shown: of twenty that say nothing, one will miss 0.`,
  ];
}
