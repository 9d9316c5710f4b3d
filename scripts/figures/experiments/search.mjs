// Picking draws of the weights by a task (RandOpt, arXiv 2603.12228): N draws answer the tuning half, the K that are right most often vote on the
// test half. Controls: K draws that were not picked, and softmax with K samples, and with as many as all that was asked (votes of both).
//   node scripts/figures/experiments/search.mjs MODEL.gguf [SIGMA] [T]
import { answer, differ, open, percent, questionsOf, row, share, summary } from "./common.mjs";

const [path, sigma = "0.03", temperature = "0.6"] = process.argv.slice(2);
const [DRAWS, KEPT, QUESTIONS] = [48, 8, 48];
const model = await open(path);
const { tuning, test } = questionsOf("capital", Number.POSITIVE_INFINITY);
const asked = tuning.slice(0, QUESTIONS);
const weights = (draw) => ({ sigma: Number(sigma), noiseSeed: BigInt(draw) });

const clean = { tuning: await answer(model, asked), test: await answer(model, test) };
const scores = [];
for (let draw = 0; draw < DRAWS; draw++)
  scores.push({ draw, right: (await answer(model, asked, weights(draw))).filter(({ right }) => right).length });
const ranked = scores.toSorted((a, b) => b.right - a.right || a.draw - b.draw);
const mean = scores.reduce((sum, { right }) => sum + right, 0) / DRAWS / asked.length;
process.stdout.write(
  `${asked.length} tuning, ${test.length} test questions, sigma ${sigma}, T ${temperature}. Clean, greedy: ` +
    `${percent(share(clean.tuning.map(({ right }) => right)))} of the tuning half; a draw ${percent(mean)}, ` +
    `the best ${KEPT} of ${DRAWS}: ${ranked
      .slice(0, KEPT)
      .map(({ right }) => right)
      .join(" ")}\n\n`,
);

async function samples(list) {
  const all = [];
  for (const one of list) all.push(await answer(model, test, ...one));
  return summary(all);
}
const dice = (count, from) => Array.from({ length: count }, (_, i) => [{}, { temperature: Number(temperature) }, from + i]);
const extra = Math.round((DRAWS * asked.length) / test.length) + KEPT;
const results = {
  "greedy, clean": summary([clean.test]),
  [`the ${KEPT} best draws`]: await samples(ranked.slice(0, KEPT).map(({ draw }) => [weights(draw)])),
  [`${KEPT} draws by chance`]: await samples(Array.from({ length: KEPT }, (_, i) => [weights(DRAWS + i)])),
  [`softmax, ${KEPT} samples`]: await samples(dice(KEPT, 0)),
  [`softmax, ${extra} samples`]: await samples(dice(extra, KEPT)),
};
row("test half", "one answer", "vote", "any right", "vote beside the best draws'");
row("---", "---:", "---:", "---:", "---");
const best = results[`the ${KEPT} best draws`].vote;
for (const [name, { one, vote, any }] of Object.entries(results))
  row(name, percent(one), percent(share(vote)), percent(share(any)), vote === best ? "" : differ(best, vote));
await model.dispose();
