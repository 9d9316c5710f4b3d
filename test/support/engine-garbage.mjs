// Calls the engine's part of the addon by itself with garbage: run in a process of its own by test/engine/garbage.test.ts, since a crash would end it.
// Arguments: a folder, how many random calls, their seed. Before each call its description goes to last-call, so that a crash can name it. Structures
// of parameters are llama.cpp's own bytes, with pointers in them, and are what the library's table says. Prints JSON: { calls, problems: [] }.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join, resolve } from "node:path";
import { engineAddon } from "../../dist/engine/llama-c/addon.js";
import { installedLibrary, parameters, placeOf } from "../../dist/engine/llama-c/library.js";

const [folder, calls, seed] = process.argv.slice(2);
const addon = engineAddon();
const { paths, release } = installedLibrary();
const problems = [];
const log = openSync(join(folder, "last-call"), "w");

let state = Number(seed) >>> 0;
const below = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
};
const pick = (list) => list[below(list.length)];

const MODEL = resolve("models/fairytales-3M-Q8_0.gguf");
const VOCABULARY = 2048;
const SEQUENCES = 2;
const nothing = join(folder, "nothing.gguf");
writeFileSync(nothing, "GGUF");

const modelBytes = parameters(release.model, { n_gpu_layers: 0, load_mode: 1, lazy_mode: 0, use_extra_bufts: false });
const contextBytes = parameters(release.context, {
  n_ctx: 64 * SEQUENCES,
  n_batch: 32,
  n_ubatch: 32,
  n_seq_max: SEQUENCES,
  n_threads: 1,
  n_threads_batch: 1,
});
const modelPlaces = {
  progress: placeOf(release.model, "progress_callback"),
  progressData: placeOf(release.model, "progress_callback_user_data"),
};
const contextPlaces = {
  abort: placeOf(release.context, "abort_callback"),
  abortData: placeOf(release.context, "abort_callback_data"),
};
const flag = new addon.Flag();
const model = await addon.load(paths, MODEL, modelBytes, modelPlaces, flag);
const context = await model.context(contextBytes, contextPlaces, flag);
const freedModel = await addon.load(paths, MODEL, modelBytes, modelPlaces, flag);
freedModel.free();
const samplers = [
  model.sampler([["greedy"]]),
  model.sampler([
    ["topK", VOCABULARY],
    ["temperature", 1],
    ["dist", 5],
  ]),
];
const freedSampler = model.sampler([["greedy"]]);
freedSampler.free();
const state_ = await context.save(0);

const strange = [
  ...[
    undefined,
    null,
    true,
    "",
    "x".repeat(1e5),
    "nul\0",
    "\ud800",
    Symbol("s"),
    1n,
    Number.NaN,
    -1,
    0.5,
    1e300,
    Infinity,
    -Infinity,
  ],
  ...[2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53, 0, 1, {}, [], [[]], () => 1, new Date(), Object.create(null), new Proxy({}, {})],
  ...[
    new Uint8Array(3),
    new Int32Array(5),
    new Float32Array(7),
    new Float64Array(2),
    new ArrayBuffer(8),
    new DataView(new ArrayBuffer(8)),
  ],
  ...[flag, model, context, samplers[0], freedSampler, freedModel, Object.create(model), Object.create(context)],
];
const whole = () => pick([0, 1, 2, 5, 31, 63, 64, 127, 2047, 2048, -1, -2, 2 ** 31 - 1, -(2 ** 31), below(3000)]);
const real = () =>
  pick([0, 1, 0.5, -1, 1e-45, 1e-40, 1e30, 3e38, -3e38, Number.NaN, Infinity, -Infinity, Math.fround(below(100) / 10)]);
const ints = (n, one = whole) => Int32Array.from({ length: n }, one);

const ENTRIES = {
  greedy: () => [],
  dist: () => [whole()],
  topK: () => [whole()],
  topP: () => [real()],
  minP: () => [real()],
  typical: () => [real()],
  temperature: () => [real()],
  dynamicTemperature: () => [real(), real(), real()],
  xtc: () => [real(), real(), whole()],
  topNSigma: () => [real()],
  mirostat: () => [whole(), real(), real()],
  mirostatV2: () => [whole(), real(), real()],
  grammar: () => [
    pick(['root ::= "a"', 'root ::= "a', "", "x", "root ::= root", "root ::= [a-z]+", 'root ::= "a"{2}']),
    pick(["root", "", "x"]),
  ],
  penalties: () => [whole(), real(), real(), real()],
  dry: () => [real(), real(), whole(), whole(), pick([[], ["\n"], [""], ["x".repeat(100)], [5]])],
  logitBias: () => [ints(below(4)), new Float32Array(below(4)).map(real)],
  none: () => [],
};
const entry = () => {
  const name = pick(Object.keys(ENTRIES));
  const list = [name, ...ENTRIES[name]()];
  if (below(8) === 0) list[below(list.length)] = pick(strange);
  if (below(12) === 0) list.length = below(list.length + 1);
  return list;
};
const sampler = () => pick([...samplers, ...samplers, null, freedSampler, pick(strange)]);

function batch() {
  const n = pick([0, 1, 1, 2, 5, 32, 33, 70]);
  const good = below(3) > 0;
  const outputs = Uint8Array.from({ length: n }, () => below(2));
  const rows = outputs.reduce((sum, one) => sum + one, 0);
  const made = {
    tokens: ints(n, good ? () => below(VOCABULARY) : whole),
    positions: good ? ints(n, (_, i) => i + below(2)) : ints(n),
    sequences: good ? new Int32Array(n).fill(below(SEQUENCES)) : ints(n),
    outputs,
    samplers: pick([undefined, Array.from({ length: rows }, sampler)]),
    targets: ints(rows, good ? () => below(VOCABULARY) : whole),
    betas: new Float32Array(below(3)).map(real),
    keep: pick([undefined, undefined, new Float32Array(rows * VOCABULARY), new Float32Array(5)]),
    sums: pick([undefined, undefined, new Float32Array(rows * VOCABULARY)]),
    reference: pick([undefined, undefined, new Float32Array(rows * VOCABULARY).map(real)]),
  };
  if (below(6) === 0) made[pick(Object.keys(made))] = pick(strange);
  return made;
}

function saved() {
  const bytes = state_.slice(0, pick([state_.length, below(state_.length + 1)]));
  for (let i = below(3); i > 0 && bytes.length > 0; i--) bytes[below(bytes.length)] ^= 1 << below(8);
  return pick([bytes, bytes, new Uint8Array(below(100)).map(() => below(256)), pick(strange)]);
}

const on =
  (target, name) =>
  (...args) =>
    target[name](...args);
const stranger = (one) => () => (below(6) === 0 ? pick(strange) : one());
const text = () => pick(["Once upon a time", "", "\0", "é漢\u{1f9da}", "x".repeat(5000), "<|im_end|>"]);
const boolean = () => below(2) === 0;

/** What is called, and what makes its arguments. */
const FUNCTIONS = {
  describe: [addon.describe, () => pick([paths, { ...paths, llama: nothing }, { ...paths, backends: 5 }, {}])],
  offloadsWith: [
    addon.offloadsWith,
    () => pick([paths, { ...paths, llama: nothing }, {}]),
    () => pick(["", nothing, 5, undefined]),
  ],
  load: [
    addon.load,
    () => paths,
    () => pick([nothing, folder, "", join(folder, "none")]),
    () => modelBytes,
    () => modelPlaces,
    () => flag,
  ],
  tokenize: [on(model, "tokenize"), text, boolean, boolean],
  detokenize: [on(model, "detokenize"), () => ints(below(20), () => (below(9) === 0 ? whole() : below(VOCABULARY))), boolean],
  endsText: [on(model, "endsText"), whole],
  sampler: [on(model, "sampler"), () => Array.from({ length: below(5) }, stranger(entry))],
  adapter: [on(model, "adapter"), () => pick([nothing, MODEL, folder, "", join(folder, "none")])],
  decode: [on(context, "decode"), batch],
  read: [on(context, "read"), batch],
  embed: [on(context, "embed"), batch],
  logits: [on(context, "logits"), whole, () => new Float32Array(pick([VOCABULARY, VOCABULARY, 5]))],
  clear: [on(context, "clear")],
  remove: [on(context, "remove"), whole, whole, whole],
  copy: [on(context, "copy"), whole, whole, whole, whole],
  length: [on(context, "length"), whole],
  save: [on(context, "save"), whole],
  restore: [on(context, "restore"), whole, saved],
  adapt: [on(context, "adapt"), () => pick([[], [samplers[0]], [5]]), () => new Float32Array(below(3)).map(real)],
  threads: [on(context, "threads"), () => pick([1, 1, 0, -1, 2000]), () => pick([1, 0, 1e9])],
  accept: [(one, token) => one.accept(token), sampler, whole],
  replace: [(one, with_) => one.replace(with_), sampler, entry],
  reset: [(one) => one.reset(), sampler],
  "on another": [
    (name, one) => model[name]?.call(one),
    () => pick(["facts", "tokenize", "free", "context"]),
    () => pick(strange.filter((x) => x !== model)),
  ],
  "on no context": [
    (name, one) => context[name]?.call(one, 0),
    () => pick(["facts", "decode", "free", "save"]),
    () => pick(strange.filter((x) => x !== context)),
  ],
};

const described = (value) => {
  try {
    if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.length})`;
    if (typeof value === "object" && value !== null)
      return JSON.stringify(value, (_, x) => (ArrayBuffer.isView(x) ? `[${[...x].slice(0, 6)}]` : x));
    return String(value).slice(0, 40);
  } catch {
    return typeof value;
  }
};

const line = Buffer.alloc(1000);
for (let i = 0; i < Number(calls); i++) {
  const name = pick(Object.keys(FUNCTIONS));
  const [call, ...kinds] = FUNCTIONS[name];
  const args = kinds.map((kind) => (below(12) === 0 ? pick(strange) : kind()));
  if (below(20) === 0) args.length = below(args.length + 1);
  line.fill(" ");
  line.write(`random call ${i}: ${name}(${args.map(described).join("; ")})`);
  writeSync(log, line, 0, line.length, 0);
  flag.lower();
  try {
    await call(...args);
  } catch (error) {
    if (!(error instanceof Error)) problems.push(`${name}: threw no Error but ${String(error)}`);
  }
}

// It still computes.
context.clear();
context.adapt([], new Float32Array(0));
const one = {
  tokens: Int32Array.of(1, 5),
  positions: Int32Array.of(0, 1),
  sequences: new Int32Array(2),
  outputs: Uint8Array.of(0, 1),
};
const { status, tokens } = await context.decode({ ...one, samplers: [model.sampler([["greedy"]])] });
if (status !== 0 || !(tokens[0] >= 0)) problems.push(`afterwards it decodes with status ${status}, token ${tokens[0]}`);
closeSync(log);
console.log(JSON.stringify({ calls: Number(calls), problems }));
