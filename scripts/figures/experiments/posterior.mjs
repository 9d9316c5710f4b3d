// Draws of the weights as a posterior: does the mean of their probabilities know better how sure it may be? Sigma is chosen as two papers do, on the
// tuning half: PEP (arXiv 2002.02405) takes the likeliest one, TFB (2412.05723) the largest that costs no more than 0.3 % of the loss. Beside them,
// on the test half: the clean model, and the clean model at the temperature that is likeliest on the tuning half (Guo et al. 2017).
// Questions: capitals, each among four of its continent that begin with different tokens; a choice has the probability of its first token.
//   node scripts/figures/experiments/posterior.mjs MODEL.gguf
import { Noise } from "../../../dist/esm/index.js";
import { argmax, softmax } from "../../../dist/sampling/softmax.js";
import { brierOf, calibrationErrorOf } from "../../../dist/statistics/answers.js";
import { choices, estimate } from "../../../dist/statistics/intervals.js";
import { average } from "../../../dist/statistics/rates.js";
import { open, percent, questionsOf, row } from "./common.mjs";

const SIGMAS = [0.01, 0.014, 0.02, 0.028, 0.04, 0.056, 0.08];
const [DRAWS, CHOICES, TOLERANCE, RESAMPLES] = [8, 4, 1.003, 2000];
const [path] = process.argv.slice(2);
const noise = new Noise(0n);

const every = Number.POSITIVE_INFINITY;
const country = ({ prompt }) => /(?:of|is) (.*?)(?: in)?\? /.exec(prompt[0].content)[1];
const continents = questionsOf("region", every);
const continentOf = new Map([...continents.tuning, ...continents.test].map((one) => [country(one), one.answers[0]]));
const halves = questionsOf("capital", every);
const all = [...halves.tuning, ...halves.test];

/** The right capital first, then three others of the continent, by the seed. */
function choicesOf(question) {
  const here = continentOf.get(country(question));
  const right = question.answers[0];
  const others = all.filter((one) => continentOf.get(country(one)) === here);
  const order = noise.stream(`choices ${right}`).uniform(new Float32Array(others.length));
  const mixed = others.map((one, i) => [order[i], one.answers[0]]).sort((a, b) => a[0] - b[0]);
  const tokens = new Set();
  for (const name of [right, ...mixed.map(([, name]) => name)]) if (tokens.size < CHOICES) tokens.add(model.tokenize(name)[0]);
  return [...tokens];
}

const model = await open(path);
const asked = new Map(all.map((question) => [question, choicesOf(question)]));

/** Of every question the probabilities of its choices, of which the first is right. */
async function read(questions, weights = {}) {
  const texts = questions.flatMap((question) =>
    asked.get(question).map((token) => ({ prompt: question.prompt, logitBias: [[token, 1e6]] })),
  );
  // Of the logits that nothing has changed: the bias makes sure which token they are told of.
  const told = await model.completeAll(texts, { maxTokens: 1, logprobs: 0, ...weights });
  const logs = told.map(({ logprobs: [first] }) => first.logProbability);
  return questions.map((_, i) => softmax(logs.slice(CHOICES * i, CHOICES * (i + 1))));
}

const together = (draws) => draws[0].map((first, q) => first.map((_, c) => average(draws.map((draw) => draw[q][c]))));
const nll = (table) => average(table.map(([right]) => -Math.log(right)));
const at = (table, temperature) =>
  table.map((own) =>
    softmax(
      own.map((p) => Math.log(p)),
      { temperature },
    ),
  );

async function members(questions, sigma, from) {
  const draws = [];
  for (let draw = 0; draw < DRAWS; draw++) draws.push(await read(questions, { sigma, noiseSeed: BigInt(from + draw) }));
  return together(draws);
}

/** The temperature of the least loss, to a hundredth. */
function likeliest(table) {
  const list = Array.from({ length: 500 }, (_, i) => (i + 1) / 100);
  return list.reduce((best, t) => (nll(at(table, t)) < nll(at(table, best)) ? t : best), 1);
}

const clean = { tuning: await read(halves.tuning), test: await read(halves.test) };
const tuned = [];
for (const sigma of SIGMAS) tuned.push({ sigma, table: await members(halves.tuning, sigma, 0) });
process.stdout.write(`${halves.tuning.length} tuning, ${halves.test.length} test questions, ${DRAWS} draws\n\n`);
row("sigma", "NLL, tuning half");
row("---:", "---:");
row("0", nll(clean.tuning).toFixed(4));
for (const { sigma, table } of tuned) row(sigma, nll(table).toFixed(4));

const pep = tuned.reduce((best, one) => (nll(one.table) < nll(best.table) ? one : best));
const tfb = tuned.findLast(({ table }) => nll(table) <= TOLERANCE * nll(clean.tuning)) ?? tuned[0];
const T = likeliest(clean.tuning);
const pepT = likeliest(pep.table);
const moved = new Map();
for (const { sigma } of new Set([pep, tfb])) moved.set(sigma, await members(halves.test, sigma, 1000));
const tables = {
  clean: clean.test,
  [`clean, T = ${T}`]: at(clean.test, T),
  [`PEP, sigma = ${pep.sigma}`]: moved.get(pep.sigma),
  [`TFB, sigma = ${tfb.sigma}`]: moved.get(tfb.sigma),
  [`PEP, T = ${pepT}`]: at(moved.get(pep.sigma), pepT),
};

const figures = {
  right: (table) => average(table.map((own) => (argmax(own) === 0 ? 1 : 0))),
  NLL: nll,
  Brier: (table) =>
    brierOf(
      table.map((own) => Math.max(...own)),
      table.map((own) => argmax(own) === 0),
    ),
  ECE: (table) =>
    calibrationErrorOf(
      table.map((own) => Math.max(...own)),
      table.map((own) => argmax(own) === 0),
    ),
};
const again = choices(noise.stream("again"), halves.test.length, "bootstrap", RESAMPLES);
const against = (name, table, other) => {
  const of = figures[name];
  const chosen = again.map((who) => of(Array.from(who, (q) => table[q])) - of(Array.from(who, (q) => other[q])));
  const { value, low, high } = estimate(of(table) - of(other), chosen);
  return `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
};
process.stdout.write("\n");
row("test half", ...Object.keys(figures));
row("---", ...Object.keys(figures).map(() => "---:"));
for (const [name, table] of Object.entries(tables))
  row(name, ...Object.entries(figures).map(([figure, of]) => (figure === "right" ? percent(of(table)) : of(table).toFixed(3))));
for (const other of Object.keys(tables).slice(0, 2)) {
  process.stdout.write(`\nLess ${other}, 95 % over questions\n\n`);
  row("", ...Object.keys(figures));
  row("---", ...Object.keys(figures).map(() => "---"));
  for (const [name, table] of Object.entries(tables).slice(1))
    if (name !== other) row(name, ...Object.keys(figures).map((figure) => against(figure, table, tables[other])));
}
await model.dispose();
