// What a report of an evaluation says in sentences: says what the numbers say, and nothing that they do not.

import { significant } from "../../report/table.js";
import type { METHODS } from "../methods.js";
import type { Difference, Evaluation, Point } from "../outcomes.js";
import type { Power } from "../plan.js";
import type { Served } from "../records.js";
import { dialled, FIGURES, LOOK, listed, share } from "./look.js";

/** What was made equal. */
export const equalSaid = ({ settings }: Evaluation): string =>
  settings.equal === "flips" ? "equal flip rates" : "equal accuracy of one answer";

/** How small a difference can be seen: said before a run, and in its report. */
export function powerSaid({ questions, differences }: Power): string {
  const parts = differences.map(
    ({ discordant, smallest }) => `${(100 * smallest).toFixed(0)} points if they differ on ${share(discordant)} of them`,
  );
  return `On ${questions} questions, the smallest difference between two methods that would be seen in four runs of five: ${parts.join(", ")}.`;
}

/** What is left of the differences to softmax among all of them. */
export function lead(evaluation: Evaluation): string {
  const { differences, points } = evaluation;
  const greedy = points.find(({ method }) => method === "greedy") as Point;
  const seen = differences.filter(({ corrected }) => corrected < 0.05);
  const begun = `Greedy answers are right on ${share(greedy.figures.accuracy.value)} of the ${evaluation.power.questions} test questions.`;
  if (differences.length === 0) return begun;
  if (seen.length === 0)
    return `${begun} At ${equalSaid(evaluation)}, none of ${differences.length} differences to softmax is left when their number is corrected for.`;
  return `${begun} At ${equalSaid(evaluation)}, of ${differences.length} differences to softmax these are left when their number is corrected for: ${listed(seen.map(told))}.`;
}

const told = ({ method, level, figure, value }: Difference): string =>
  `${LOOK[method].label} at T = ${significant(level)}, ${FIGURES[figure]}: ${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)} points`;

/** The finding above the plot of accuracies. */
export function accuracySaid({ points }: Evaluation): string {
  const greedy = points.find(({ method }) => method === "greedy") as Point;
  const best = [...points].sort((a, b) => b.figures.vote.value - a.figures.vote.value)[0] as Point;
  const more = best.figures.vote.low > greedy.figures.accuracy.value;
  const name = `${LOOK[best.method].label} (${dialled(best.dial)})`;
  return best.method === "greedy" || best.figures.vote.value <= greedy.figures.accuracy.value
    ? `**No vote is right more often than the greedy answer** (${share(greedy.figures.accuracy.value)}).`
    : `**The best vote is that of ${name}: ${share(best.figures.vote.value)}**, ${more ? "above" : "not told apart from"} the greedy answer's ${share(greedy.figures.accuracy.value)}.`;
}

/** The finding above the plot of pass@k. */
export function passSaid({ points, settings }: Evaluation): string {
  const top = settings.levels.map((level) => {
    const own = points.filter((point) => point.level === level && point.method !== "greedy");
    const best = [...own].sort((a, b) => b.figures.any.value - a.figures.any.value)[0] as Point;
    return `at T = ${significant(level)} ${LOOK[best.method].label} (${share(best.figures.any.value)})`;
  });
  return `**Among ${settings.samples} answers at least one is right** most often ${listed(top)}. Whether that is more than softmax's is in the table of differences.`;
}

/** The finding above the plot of differences. */
export function differencesSaid({ differences }: Evaluation): string {
  const bold = differences.filter(({ low, high }) => low > 0 || high < 0).length;
  const left = differences.filter(({ corrected }) => corrected < 0.05).length;
  return `**${bold} of ${differences.length} intervals leave 0 out**; by chance about ${(differences.length / 20).toFixed(1)} would. After Holm's correction ${left === 0 ? "none is left" : `${left} are left`}.`;
}

/** The finding above the plot of AUROC. */
export function doubtSaid({ doubts }: Evaluation): string {
  const [first] = doubts;
  if (first === undefined) return "";
  const better = doubts.filter(({ gain }) => gain.low > 0);
  const known = doubts.filter(({ tuning }) => tuning !== null).sort((a, b) => (b.tuning as number) - (a.tuning as number))[0];
  const chosen =
    known === undefined
      ? ""
      : ` The one that the tuning half would choose, ${named(known)}, has ${known.auroc.value.toFixed(3)}.`;
  const finding =
    better.length === 0
      ? "**Nothing tells right from wrong better than the mean log-probability**, as far as these questions can tell"
      : `**${better.length} of ${doubts.length - 1} scores tell right from wrong better than the mean log-probability** (their intervals leave 0 out)`;
  return `${finding}: its AUROC is ${first.auroc.value.toFixed(3)}.${chosen}`;
}

/** What a score is of. */
export function named({
  score,
  method,
  level,
}: {
  readonly score: string;
  readonly method: keyof typeof METHODS | null;
  readonly level: number;
}): string {
  return method === null ? score : `${score}, ${LOOK[method].label} at T = ${significant(level)}`;
}

const SAME_SIGMA = "and all stationary dynamics get the same sigma";
const OWN_FLIPS = `with quenched weights, ${SAME_SIGMA}`;
const SERVED_FLIPS =
  "where members, writing greedily, part from that answer: texts are compared up to the first token that is another, and softmax's share is that of the same comparison, by the likeliest tokens that servers tell";

/** Who answered, where it was servers. */
function servedSaid({ servers, members, antithetic, rank, seed, levels }: Served): string {
  const mirrored = antithetic ? ", with their mirror images" : "";
  const fixed =
    levels === null ? "" : `; the servers have files of σ = ${listed(levels.map(significant))}, and dials take the nearest`;
  return `Servers answered (${listed(servers)}), with ${members} members of rank ${rank} and seed ${seed}${mirrored}${fixed}. That they have this model is what the members' folder says. Servers put texts together as they come, which may change the last digits, and with them an answer.`;
}

/** How everything was measured, in paragraphs. */
export function howMeasured(evaluation: Evaluation): string[] {
  const { settings, task, targets, power } = evaluation;
  const { questions, samples, maxTokens, levels, sigmas, draws, equal, tau } = settings;
  const target = levels.map((level) => `T = ${significant(level)}: ${share(targets[level] as number)}`).join(", ");
  const measured = `were measured at σ = ${listed(sigmas.map(significant))}, ${draws} draws each`;
  const what =
    equal === "flips"
      ? `as often as softmax picks another token than the clean model's likeliest, on the clean model's own answers (${target}); flips of moved weights ${measured}, ${settings.served === undefined ? OWN_FLIPS : SERVED_FLIPS}`
      : `until one answer is right as often as softmax's (${target}); accuracies of ${settings.served === undefined ? `quenched weights ${measured}, ${SAME_SIGMA}` : `members ${measured}`}`;
  return [
    `Questions fall into two halves by a hash of what is asked: ${questions.tuning.length} of the tuning half were used, ${questions.test.length} of the test half, of ${task.questions} in all (${task.name}, SHA-256 ${task.sha256.slice(0, 12)}…). Dials see the tuning half alone: they were turned ${what}.`,
    ...(settings.served === undefined ? [] : [servedSaid(settings.served)]),
    `${samples} answers a method, level and question, of ${maxTokens} tokens at most; tau ${significant(tau)}. **One answer**: the share of right answers. **Vote**: whether the most frequent answer is right. **Likeliest**: whether the answer with the highest mean log-probability under the weights that wrote it is. **Any right**: pass@n; pass@k is the unbiased estimate of Chen et al. (2021).`,
    `**Brier** and **ECE** (ten bins) are of the share of answers that agree with the vote; of greedy, of its probability. **ln p** is of the right answer, nats: of the clean model at T, and of the mean over members.`,
    `Intervals are 95 %, by a paired bootstrap over questions (2,000 resamples). Weights that are at rest are the same for all questions of a sample, so how accuracy scatters from draw to draw is told beside them (spread). p is of the exact sign test on questions; corrected: among all differences (Holm 1979).`,
    powerSaid(power),
  ];
}
