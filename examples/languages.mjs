// Moving weights in a network that somebody else trained and shipped in 8 bits: `lande` (MIT; 620 n-gram frequencies, 120 units, 50
// languages). Texts come from Node itself: the names of countries and languages in each tongue (Unicode CLDR, by Intl). Tongues that the
// network was never taught are the out-of-distribution inputs.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { Noise } from "brownian";
import {
  accuracy,
  auroc,
  ece,
  fitTemperature,
  MovingNetwork,
  movedEnsemble,
  nll,
  predictiveEntropies,
  probabilities,
} from "brownian/learn";
import { interval, main } from "./experiment.mjs";

const SIZES = {
  full: { seeds: [1, 2, 3], texts: 12, members: 16, sigmas: [0.01, 0.03, 0.06, 0.1] },
  small: { seeds: [1, 2], texts: 3, members: 5, sigmas: [0.03] },
};
/** Names a text. */
const NAMES = 4;

/**
 * ISO 639-3 of the network, and Intl's tag. Left out: tongues in which Intl has no names of countries (run, ckb, tgl) or writes another
 * script.
 */
const TAUGHT = {
  afr: "af",
  ara: "ar",
  aze: "az",
  bel: "be",
  ben: "bn",
  bul: "bg",
  cat: "ca",
  ces: "cs",
  cmn: "zh",
  dan: "da",
  deu: "de",
  ell: "el",
  eng: "en",
  est: "et",
  eus: "eu",
  fin: "fi",
  fra: "fr",
  hau: "ha",
  heb: "he",
  hin: "hi",
  hrv: "hr",
  hun: "hu",
  hye: "hy",
  ind: "id",
  isl: "is",
  ita: "it",
  jpn: "ja",
  kat: "ka",
  kaz: "kk",
  kor: "ko",
  lit: "lt",
  mar: "mr",
  mkd: "mk",
  nld: "nl",
  nob: "nb",
  pes: "fa",
  pol: "pl",
  por: "pt",
  ron: "ro",
  rus: "ru",
  slk: "sk",
  spa: "es",
  srp: "sr",
  swe: "sv",
  tur: "tr",
  ukr: "uk",
  vie: "vi",
};
const OUT_OF_DISTRIBUTION = [
  "sq",
  "lv",
  "sl",
  "cy",
  "ga",
  "sw",
  "zu",
  "mt",
  "gl",
  "so",
  "yo",
  "uz",
  "ky",
  "mn",
  "tk",
  "fo",
  "lb",
  "br",
  "gd",
];
const REGIONS = [
  "DE",
  "FR",
  "IT",
  "ES",
  "PT",
  "GB",
  "US",
  "CN",
  "JP",
  "RU",
  "IN",
  "EG",
  "ZA",
  "BR",
  "MX",
  "CA",
  "AU",
  "NZ",
  "GR",
  "TR",
  "SE",
  "NO",
  "FI",
  "DK",
  "PL",
  "HU",
  "CZ",
  "AT",
  "CH",
  "BE",
  "NL",
  "IE",
  "IS",
  "KR",
  "VN",
  "TH",
  "SA",
  "IL",
  "IR",
  "GE",
  "AM",
  "UA",
  "RO",
  "BG",
  "HR",
  "RS",
  "CI",
  "AE",
  "CF",
  "KP",
  "GQ",
  "DO",
  "EH",
  "VA",
];
const TONGUES = [
  "de",
  "fr",
  "it",
  "es",
  "en",
  "zh",
  "ja",
  "ru",
  "hi",
  "ar",
  "el",
  "tr",
  "sv",
  "fi",
  "pl",
  "hu",
  "ko",
  "vi",
  "he",
  "fa",
  "ka",
  "uk",
  "nl",
  "la",
  "pt",
];

/**
 * @param {"full" | "small"} size
 * @param {(share: number, what: string) => void} progress
 * @returns {Promise<import("./experiment.mjs").Experiment>}
 */
export async function run(size, progress) {
  const { seeds, texts, members, sigmas } = SIZES[size];
  const { network, features, languages } = await lande();
  const classes = languages.length;
  const stream = new Noise(0n).stream("languages");
  const known = Object.entries(TAUGHT).flatMap(([language, tag], i) =>
    textsOf(tag, 2 * texts, stream, i).map((text) => ({ text, label: languages.indexOf(language) })),
  );
  const pick = (odd) => known.filter((_, i) => i % 2 === odd);
  const matrix = (list) => Float32Array.from(list.flatMap(({ text }) => features(text)));
  const [test, held] = [pick(0), pick(1)];
  const outOfDistribution = matrix(
    OUT_OF_DISTRIBUTION.flatMap((tag, i) => textsOf(tag, texts, stream, 1000 + i).map((text) => ({ text }))),
  );
  const inputs = { test: matrix(test), held: matrix(held) };
  const labels = { test: test.map((t) => t.label), held: held.map((t) => t.label) };

  const measure = (predict) => {
    const p = predict(inputs.test);
    const score = (f) => f(p, labels.test, classes);
    const knows = auroc(predictiveEntropies(predict(outOfDistribution), classes), predictiveEntropies(p, classes));
    return { accuracy: score(accuracy), nll: score(nll), ece: score(ece), outOfDistribution: knows };
  };
  const { temperature } = fitTemperature(network.logits(inputs.held), labels.held, classes);
  const at = (t) => measure((x) => probabilities(network.logits(x), classes, t));
  const [rest, scaled] = [at(1), at(temperature)];
  const runs = seeds.map((seed, i) => {
    const moved = (sigma) => (x) => movedEnsemble(network, x, { members, sigma, seed: BigInt(seed) });
    const likelihoods = sigmas.map((sigma) => nll(moved(sigma)(inputs.held), labels.held, classes));
    const best = sigmas[likelihoods.indexOf(Math.min(...likelihoods))];
    const found = sigmas.map((sigma, s) => {
      progress((i + s / sigmas.length) / seeds.length, `seed ${seed}, sigma ${sigma}`);
      return measure(moved(sigma));
    });
    return { found, best };
  });
  const of = (s, what) => interval(runs.map(({ found }) => found[s][what]));
  const chosen = (what) => interval(runs.map(({ found, best }) => found[sigmas.indexOf(best)][what]));
  const measures = ["accuracy", "nll", "ece", "outOfDistribution"];
  const gain = chosen("outOfDistribution");
  const percent = (x) => `${(100 * x).toFixed(2)} %`;
  return {
    title: "Moving weights in a network from a package: which language is this?",
    paper: "This project; the network is lande's (F. Spampinato), as shipped",
    claim: `An ensemble of ${members} draws of the shipped 8-bit codes (sigma in units of RMS, chosen by the likelihood of held-out texts) tells languages that the network was never taught from those it knows better than the network at rest, and predicts held-out texts better.`,
    columns: ["", "accuracy", "NLL (nats)", "ECE", `AUROC, ${OUT_OF_DISTRIBUTION.length} unknown languages`],
    rows: [
      ["at rest", ...measures.map((m) => rest[m])],
      [`at rest, temperature ${temperature.toFixed(2)}`, ...measures.map((m) => scaled[m])],
      ...sigmas.map((sigma, s) => [`moving, sigma ${sigma}`, ...measures.map((m) => of(s, m))]),
      [`moving, sigma chosen: ${runs.map(({ best }) => best).join(", ")}`, ...measures.map(chosen)],
    ],
    seeds,
    reproduced: gain.mean - gain.half > rest.outOfDistribution && chosen("nll").mean + chosen("nll").half < rest.nll,
    verdict: `at rest, moving, and at rest with temperature scaling: AUROC ${rest.outOfDistribution.toFixed(4)}, ${gain.mean.toFixed(4)} ± ${gain.half.toFixed(4)}, ${scaled.outOfDistribution.toFixed(4)}; ECE ${percent(rest.ece)}, ${percent(chosen("ece").mean)}, ${percent(scaled.ece)}; NLL ${rest.nll.toFixed(3)}, ${chosen("nll").mean.toFixed(3)}, ${scaled.nll.toFixed(3)}; accuracy ${percent(rest.accuracy)}, ${percent(chosen("accuracy").mean)}, unchanged. ${test.length} texts in ${Object.keys(TAUGHT).length} languages; intervals are over the draws' seeds, the texts are the same.`,
  };
}

/** Texts of a few names each in the tongue of a tag. */
function textsOf(tag, count, stream, tick) {
  const names = [
    ...REGIONS.map((region) => new Intl.DisplayNames([tag], { type: "region" }).of(region)),
    ...TONGUES.map((tongue) => new Intl.DisplayNames([tag], { type: "language" }).of(tongue)),
  ];
  if (names[0] === "Germany" && tag !== "en")
    throw new Error(`This Node has no names in "${tag}": it was built without full ICU data.`);
  const u = stream.uniform(new Float32Array(count * NAMES), { tick });
  return Array.from({ length: count }, (_, t) =>
    Array.from({ length: NAMES }, (_, i) => names[Math.floor(u[t * NAMES + i] * names.length)]).join(" "),
  );
}

/** The network with its own codes; what makes features of texts; its languages. */
async function lande() {
  const folder = dirname(createRequire(import.meta.url).resolve("lande"));
  const load = async (name) => await import(pathToFileURL(join(folder, name)).href);
  const [{ default: options }, { default: ngrams }, { default: languages }, { infer }] = await Promise.all(
    ["t50-options.js", "t50-ngrams.js", "t50-langs.js", "utils.js"].map(load),
  );
  const dense = options.layers.filter((layer) => layer.type === "dense");
  const layers = dense.map(({ _filters, _biases }) => {
    const [rows, bias] = [_filters.map(codes), codes(_biases)];
    return {
      codes: new Uint8Array(Int8Array.from(rows.flatMap((row) => [...row.codes])).buffer),
      steps: Float32Array.from(rows, (row) => row.step),
      bias: Float32Array.from(bias.codes, (code) => code * bias.step),
    };
  });
  const inputs = options.layers[0].sz;
  const features = (text) => {
    // What lande hands to its network is what we want of it.
    let seen;
    const forward = (input) => {
      seen = [...input.w];
      return { w: new Float32Array(languages.length) };
    };
    infer(text, languages, ngrams, { forward });
    return seen;
  };
  return { network: new MovingNetwork(layers, inputs), features, languages };
}

/** toygrad's "f8": "1", the scale, "|", base64 of bytes; weight = (byte - 127) / scale. */
function codes(text) {
  const bar = text.indexOf("|");
  if (text[0] !== "1" || text[1] === "-" || bar < 0)
    throw new Error("lande's weights are not in the 8-bit form that is known here: its version has changed.");
  return {
    step: 1 / Number(text.slice(1, bar)),
    codes: Int8Array.from(Buffer.from(text.slice(bar + 1), "base64"), (byte) => byte - 127),
  };
}

await main(import.meta.url, run);
