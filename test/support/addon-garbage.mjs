// Calls the addon by itself with garbage: run in a process of its own by test/kernels/addon.test.ts, since a crash would end it. Arguments:
// a folder with inputs.json and room for files, how many random calls, their seed. Before each call its description goes to last-call, so that
// a crash can name it. Prints JSON: { calls, problems: [] }.
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

const [folder, randomCalls, seed] = process.argv.slice(2);
const inputs = JSON.parse(readFileSync(join(folder, "inputs.json"), "utf8"));
const module = { exports: {} };
process.dlopen(module, inputs.addon);
const addon = module.exports;

const problems = [];
let calls = 0;
const log = openSync(join(folder, "last-call"), "w");
const line = Buffer.alloc(512, " ");

/** Calls it; whatever happens, the process is to live. Resolves to what was thrown, or undefined. */
async function attempt(what, call) {
  calls++;
  line.fill(" ");
  line.write(what);
  writeSync(log, line, 0, line.length, 0);
  try {
    await call();
  } catch (error) {
    if (!(error instanceof Error)) problems.push(`${what}: threw no Error but ${String(error)}`);
    return error;
  }
}

/** Weights between bytes that nothing may touch. */
const GUARD = 64;
function guarded(bytes, Memory = ArrayBuffer) {
  const all = new Uint8Array(new Memory(bytes.length + 2 * GUARD)).fill(0xa5);
  all.set(bytes, GUARD);
  return all.subarray(GUARD, GUARD + bytes.length);
}
function touched(data) {
  const all = new Uint8Array(data.buffer);
  const outside = [...all.subarray(0, GUARD), ...all.subarray(GUARD + data.length)];
  return outside.some((byte) => byte !== 0xa5);
}

/** A typed array whose memory has gone elsewhere. */
function detached(Type, length) {
  const array = new Type(length);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

const formats = inputs.formats.map(({ name, encoded }) => ({ name, encoded: Int32Array.from(encoded) }));
const format = formats.find(({ name }) => name === "Q8_0").encoded;
const i8 = formats.find(({ name }) => name === "I8").encoded;
const record = (encoded, more = {}) => {
  const head = {
    sigma: 0.01,
    inSteps: 0,
    rowLength: 1,
    rounding: 2,
    k0: 1,
    k1: 2,
    index: 0,
    tick: 3,
    width: 0,
    matrix: 0,
    ...more,
  };
  return Float64Array.from([...Object.values(head), ...encoded]);
};
const bytes = (blocks, encoded = format) => new Uint8Array(blocks * encoded[2]).map((_, i) => (i * 37) % 96);
const BLOCKS = 1024;
const LENGTH = BLOCKS * format[2];
const paths = ["live", "pristine"].map((name) => join(folder, name));
for (const path of paths) writeFileSync(path, bytes(2 * BLOCKS));
const small = join(folder, "small");
writeFileSync(small, bytes(1));
const empty = join(folder, "empty");
writeFileSync(empty, "");

const { tails, hits, alias, parameters } = inputs;
const relax = Float32Array.from(parameters);
const best = addon.targets().findIndex(({ runs }) => runs);

// What needs the tables says so while there are none.
const early = await attempt("perturb before setLaw", () => addon.perturb(best, bytes(1), record(format)));
if (!/tables/.test(early?.message)) problems.push(`before setLaw: ${early}`);
const law = { tails: Float32Array.from(tails), hits: Uint32Array.from(hits), alias: Int8Array.from(alias) };

const TYPES = [Int8Array, Uint8Array, Int16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigUint64Array];
/** What is nothing that any argument could be, but for those that a kind's `accepts` names. */
const strange = () => [
  ...[
    undefined,
    null,
    true,
    "relax",
    "",
    Symbol("s"),
    1n,
    Number.NaN,
    -1,
    0.5,
    1e300,
    Infinity,
    -Infinity,
    2 ** 32,
    2 ** 53,
    0,
    1,
  ],
  ...[
    {},
    [],
    [[]],
    () => 1,
    new Date(),
    Object.create(null),
    new Proxy({}, {}),
    new Proxy([], {}),
    new ArrayBuffer(64),
    new DataView(new ArrayBuffer(8)),
  ],
  ...[new Map(), Promise.resolve(1), /x/, new Error("x"), new SharedArrayBuffer(8), globalThis, addon, addon.MappedFile],
  ...TYPES.flatMap((Type) => [new Type(0), new Type(7), detached(Type, 34)]),
];

/** A record with one number that it may not have. */
const wrongRecords = () => {
  const base = record(format);
  const numbers = [Number.NaN, Infinity, -Infinity, -1, 0.5, 1e300, -1e300, 2 ** 53 + 2, 2 ** 31, 1e6];
  const allowed = (field, x) =>
    field === 1 || // in steps or not: any number
    (field === 0 && x >= 0 && x < 1e38) ||
    (field === 2 && x >= 0 && Number.isInteger(x) && x <= 2 ** 53) ||
    [8, 9].includes(field) || // without factors they mean nothing
    ([4, 5, 7].includes(field) && Number.isInteger(x) && Math.abs(x) <= 2 ** 32) ||
    (field === 6 && x % format[1] === 0 && x >= 0 && x <= 2 ** 50) ||
    field >= 10; // formats have cases of their own
  return [...base.keys()].flatMap((field) =>
    numbers.filter((x) => !allowed(field, x)).map((x) => Object.assign(base.slice(), { [field]: x })),
  );
};

/** Formats that are none: kernels would read or write where nothing is. */
const wrongFormats = () => {
  const wrong = [
    new Int32Array(24),
    new Int32Array(23),
    new Int32Array(25),
    new Int32Array(24).fill(-1),
    new Int32Array(24).fill(2 ** 31 - 1),
  ];
  const change = (encoded, field, value) => wrong.push(Object.assign(encoded.slice(), { [field]: value }));
  for (const { encoded } of formats.filter(({ encoded }) => encoded[0] === 0)) {
    for (const value of [0, -1, 3, 512, 2 ** 30]) change(encoded, 1, value); // weights
    for (const value of [0, -1, 2 ** 20, -(2 ** 31)]) change(encoded, 2, value); // bytes
    for (const value of [3, -1, 99]) change(encoded, 4, value); // levels
    for (const value of [10, -1, 2 ** 31 - 1]) change(encoded, 8, value); // kind of step
    for (const value of [0, 3, -1]) change(encoded, 11, value); // planes
    for (const value of [-1, encoded[2], 2 ** 31 - 1]) change(encoded, 12, value); // a plane's offset
    for (const value of [0, 9, -1, 32]) change(encoded, 13, value); // its bits
    for (const value of [-1, 8, 31]) change(encoded, 14, value); // shift
    for (const value of [0, 3, -1, 2 ** 30]) change(encoded, 15, value); // group
    for (const value of [-1]) change(encoded, 16, value); // stride
    for (const value of [0, 3, -1, 2 ** 30]) change(encoded, 17, value); // run
    if (encoded[8] === 0) continue;
    for (const value of [0, 1, 8, 3, 512, -1]) change(encoded, 7, value); // weights of a group
    for (const value of [-1, encoded[2], 2 ** 31 - 1]) change(encoded, 9, value); // where the step is
  }
  return wrong;
};

/** Arguments by what they are: one that is right, those that are wrong, and which strange ones it takes after all. */
let file;
let source;
let readOnly;
let closed;
let little;
let index;
let plan;
let prepared;
const KINDS = {
  target: { right: () => best, accepts: (x) => Number.isInteger(x) && addon.targets()[x]?.runs, wrong: () => [99, 4, 1e9, -2] },
  threads: { right: () => 2, accepts: (x) => typeof x === "number" && x >= 1 && x <= 1024, wrong: () => [0, 1e9, 1025, -1] },
  outBits: { right: () => new Uint32Array(64), accepts: (x) => x instanceof Uint32Array, wrong: () => [] },
  outFloats: { right: () => new Float32Array(64), accepts: (x) => x instanceof Float32Array, wrong: () => [] },
  place: {
    right: () => new Uint32Array(7),
    accepts: (x) => x instanceof Uint32Array && x.length === 7,
    wrong: () => [new Uint32Array(6), new Uint32Array(8), Uint32Array.of(0, 0, 0, 0, 4, 0, 0)],
  },
  data: {
    right: () => guarded(bytes(8)),
    accepts: (x) => x instanceof Uint8Array && x.length % 34 === 0,
    wrong: () => [bytes(1).subarray(1), new Uint8Array(33)],
  },
  shared: {
    right: () => guarded(bytes(8), SharedArrayBuffer),
    accepts: (x) => x instanceof Uint8Array && x.buffer instanceof SharedArrayBuffer && x.length % 34 === 0,
    wrong: () => [guarded(bytes(8)), new Uint8Array(new SharedArrayBuffer(33))],
  },
  // Where two arrays are to have one length.
  both: { right: () => guarded(bytes(8)), accepts: () => false, wrong: () => [bytes(7), bytes(9), new Uint8Array(33)] },
  move: {
    right: () => record(format),
    accepts: () => false,
    wrong: () => [
      ...wrongRecords(),
      ...wrongFormats().map((encoded) => record(encoded)),
      ...[
        new Float64Array(33),
        new Float64Array(35),
        [],
        [record(format)],
        [record(format), null],
        [record(format), new Float64Array(32)],
        record(i8),
        [record(i8), null],
        [record(i8), new Float32Array(0)],
        [record(i8), new Float64Array(9)],
        [record(i8, { rowLength: 1 }), new Float32Array(3)],
        [record(i8, { rowLength: 0 }), new Float32Array(300)],
        [record(i8, { rowLength: 1, index: 2 ** 40 }), new Float32Array(3000)],
        [record(i8, { rowLength: 2 ** 53 }), detached(Float32Array, 10)],
        [record(format, { width: 0, matrix: 0 }), new Float32Array(256)],
        [record(format, { width: 32, matrix: 0 }), new Float32Array(256)],
        [record(format, { width: 0, matrix: 32 }), new Float32Array(256)],
        [record(format, { width: 32, matrix: 48 }), new Float32Array(2 ** 20)],
        [record(format, { width: 32, matrix: 32 }), new Float32Array(32)],
        [record(format, { width: 32, matrix: 32, index: 2 ** 40 }), new Float32Array(256)],
        [record(format, { width: 2 ** 50, matrix: 2 ** 50 }), new Float32Array(256)],
        [record(format, { width: 32, matrix: 2 ** 20 }), new Float32Array(32).fill(Number.NaN)],
        [record(format, { width: 32, matrix: 2 ** 20 }), new Float32Array(32).fill(-1)],
        [record(format, { width: 32, matrix: 2 ** 20 }), detached(Float32Array, 32)],
      ],
    ],
  },
  evolution: {
    right: () => "relax",
    accepts: (x) => x === "relax",
    wrong: () => ["langevin", "relax\0", "r".repeat(1e6), "__proto__"],
  },
  parameters: {
    right: () => relax,
    accepts: () => false,
    wrong: () => [
      relax.subarray(1),
      relax.slice().fill(Number.NaN),
      relax.slice().fill(2),
      relax.slice().fill(-1),
      Float64Array.from(relax),
    ],
  },
  format: { right: () => format, accepts: () => false, wrong: wrongFormats },
  rows: { right: () => null, accepts: () => true, wrong: () => [] },
  index: { right: () => 0, accepts: (x) => Number.isInteger(x) && x >= 0 && x < 2 ** 53, wrong: () => [] },
  blockIndex: {
    right: () => 64,
    accepts: (x) => Number.isInteger(x) && x >= 0 && x < 2 ** 52 && x % format[1] === 0,
    wrong: () => [1, 2 ** 53 - 1],
  },
  columns: {
    right: () => ({ inverse: new Float32Array(64).fill(1), shares: new Float64Array(64).fill(1024), width: 64, matrix: 2 ** 40 }),
    accepts: (x) => x === null,
    wrong: () =>
      [
        ...[{ width: 0 }, { matrix: 0 }, { matrix: 96 }, { width: 7, matrix: 7 }, { width: 2 ** 50, matrix: 2 ** 50 }],
        ...[{ inverse: new Float32Array(0), shares: new Float64Array(0) }, { inverse: new Float64Array(64) }, { shares: [1] }],
        ...[new Float64Array(64).fill(-1), new Float64Array(64).fill(Number.NaN), new Float64Array(63)].map((shares) => ({
          shares,
        })),
        { inverse: detached(Float32Array, 64) },
      ].map((change) => ({ ...KINDS.columns.right(), ...change })),
  },
  total: { right: () => 0, accepts: (x) => typeof x === "number", wrong: () => [] },
  path: { right: () => paths[0], accepts: () => false, wrong: () => [join(folder, "none"), folder, "a\0b", "x".repeat(1e5)] },
  writable: { right: () => true, accepts: (x) => typeof x === "boolean", wrong: () => [] },
  offset: { right: () => 0, accepts: (x) => x === 0 || x === 1, wrong: () => [LENGTH + 1, 2 ** 52, 2 ** 53 - 1] },
  length: { right: () => LENGTH, accepts: (x) => x === 0, wrong: () => [LENGTH - 1, 2 * LENGTH + 34, 2 ** 52, 2 ** 53 - 1] },
  copied: { right: () => LENGTH, accepts: (x) => x === 0 || x === 1, wrong: () => [2 * LENGTH + 34, 2 ** 52, 2 ** 53 - 1] },
  source: {
    right: () => source,
    accepts: () => false,
    wrong: () => [closed, little, index, plan, prepared, Object.create(source), new Proxy(source, {})],
  },
  maybe: { right: () => source, accepts: (x) => x === null, wrong: () => [closed, little, index, plan] },
  stepIndex: {
    right: () => index,
    accepts: () => false,
    wrong: () => [plan, prepared, source, Object.create(index), structuredClone({})],
  },
  plan: { right: () => plan, accepts: () => false, wrong: () => [index, prepared, source, Object.create(plan)] },
  maybePlan: { right: () => plan, accepts: (x) => x === null, wrong: () => [index, prepared, source, Object.create(plan)] },
  tensors: {
    right: () => [{ offset: 0, length: LENGTH, move: record(format) }],
    accepts: (x) => Array.isArray(x) && x.length === 0,
    wrong: () => [
      ...[
        [1],
        [null],
        [{}],
        [{ offset: 0 }],
        [{ offset: 0, length: LENGTH }],
        [{ offset: 0, length: 1e9, move: record(format) }],
      ],
      [
        { offset: 0, length: LENGTH, move: record(format) },
        { offset: -1, length: 0, move: record(format) },
      ],
      [{ offset: 0, length: LENGTH - 1, move: record(format) }],
      [{ get offset() { throw new Error("mine"); }, length: 0, move: record(format) }], // biome-ignore format: one line a case
      new Array(3),
    ],
  },
  redrawn: {
    right: () => [{ offset: 0, length: LENGTH, index, move: record(format) }],
    accepts: (x) => Array.isArray(x) && x.length === 0,
    wrong: () => [
      ...KINDS.stepIndex.wrong().map((other) => [{ offset: 0, length: LENGTH, index: other, move: record(format) }]),
      ...KINDS.tensors.wrong(),
      [KINDS.redrawn.right()[0], KINDS.redrawn.right()[0]],
    ],
  },
  evolving: {
    right: () => [{ offset: 0, length: LENGTH, move: record(format), parameters: relax }],
    accepts: (x) => Array.isArray(x) && x.length === 0,
    wrong: () => [
      KINDS.tensors.right(),
      ...KINDS.parameters.wrong().map((parameters) => [{ offset: 0, length: LENGTH, move: record(format), parameters }]),
    ],
  },
  stride: { right: () => 3, accepts: (x) => Number.isInteger(x) && x >= 1 && x <= 65536, wrong: () => [0, 65537] },
  tick: { right: () => 5, accepts: (x) => Number.isInteger(x) && x >= 0 && x < 2 ** 32, wrong: () => [] },
  threshold: { right: () => 2 ** 30, accepts: (x) => Number.isInteger(x) && x >= 0 && x <= 2 ** 32, wrong: () => [2 ** 32 + 2] },
  prepared: { right: () => prepared, accepts: () => false, wrong: () => [index, plan, source, Object.create(prepared)] },
  tails: {
    right: () => law.tails,
    accepts: () => false,
    wrong: () => [law.tails.subarray(1), law.tails.slice().fill(Number.NaN), law.tails.slice().fill(-1)],
  },
  hits: { right: () => law.hits, accepts: () => false, wrong: () => [law.hits.subarray(1)] },
  alias: { right: () => law.alias, accepts: () => false, wrong: () => [law.alias.subarray(1)] },
};

const method =
  (name) =>
  (...args) =>
    file[name](...args);
/** Every function, and what its arguments are. */
const FUNCTIONS = {
  setLaw: { call: addon.setLaw, kinds: ["tails", "hits", "alias"] },
  bits: { call: addon.bits, kinds: ["target", "outBits", "place"] },
  uniform: { call: addon.uniform, kinds: ["target", "outFloats", "place"] },
  normal: { call: addon.normal, kinds: ["target", "outFloats", "place"] },
  perturb: { call: addon.perturb, kinds: ["target", "data", "move"] },
  perturbAsync: { call: addon.perturbAsync, kinds: ["target", "threads", "shared", "move"] },
  evolve: { call: addon.evolve, kinds: ["target", "evolution", "both", "both", "parameters", "move"] },
  sumSquares: { call: addon.sumSquares, kinds: ["target", "data", "format", "rows", "index", "total"] },
  census: { call: addon.census, kinds: ["target", "data", "blockIndex", "format", "columns"] },
  difference: { call: addon.difference, kinds: ["target", "both", "both", "format"] },
  MappedFile: { call: (...args) => new addon.MappedFile(...args).close(), kinds: ["target", "threads", "path", "writable"] },
  "file.perturb": { call: method("perturb"), kinds: ["offset", "length", "maybe", "move"] },
  "file.copyFrom": { call: method("copyFrom"), kinds: ["source", "offset", "copied"] },
  "file.sumSquares": { call: method("sumSquares"), kinds: ["offset", "length", "format"] },
  "file.census": { call: method("census"), kinds: ["offset", "length", "format", "columns"] },
  "file.difference": { call: method("difference"), kinds: ["offset", "length", "format", "source"] },
  "file.indexSteps": { call: method("indexSteps"), kinds: ["offset", "length", "format"] },
  "file.redraw": { call: method("redraw"), kinds: ["source", "redrawn"] },
  "file.indexBytes": { call: method("indexBytes"), kinds: ["stepIndex"] },
  "file.readyBytes": { call: method("readyBytes"), kinds: ["maybePlan"] },
  "file.planCollide": { call: method("planCollide"), kinds: ["source", "tensors", "threshold"] },
  "file.planDiffuse": { call: method("planDiffuse"), kinds: ["source", "tensors", "stride"] },
  "file.planDraw": { call: method("planDraw"), kinds: ["source", "tensors"] },
  "file.planEvolve": { call: method("planEvolve"), kinds: ["source", "evolving", "evolution", "stride"] },
  "file.run": { call: method("run"), kinds: ["plan", "tick"] },
  "file.prepare": { call: method("prepare"), kinds: ["plan", "tick"] },
  "file.write": { call: method("write"), kinds: ["prepared"] },
  "file.drop": { call: method("drop"), kinds: ["prepared"] },
};

function describe(x) {
  try {
    if (ArrayBuffer.isView(x)) return `${x.constructor.name}(${x.length})[${Array.from(x.length > 40 ? [] : x).join()}]`;
    if (Array.isArray(x)) return `[${Array.from(x, describe).join()}]`;
    return typeof x === "object" || typeof x === "function" ? Object.prototype.toString.call(x) : String(x);
  } catch {
    return "something";
  }
}

await attempt("setLaw", () => addon.setLaw(law.tails, law.hits, law.alias));
const open = (path, writable = true) => new addon.MappedFile(best, 2, path, writable);
async function openAll() {
  file = open(paths[0]);
  source = open(paths[1], false);
  readOnly = open(paths[0], false);
  little = open(small);
  closed = open(paths[0]);
  closed.close();
  index = await source.indexSteps(0, LENGTH, format);
  plan = file.planCollide(source, KINDS.tensors.right(), 2 ** 30);
  prepared = file.prepare(plan, 1);
}
await openAll();

// Every function works; then with one argument after the other that is wrong, it throws.
for (const [name, { call, kinds }] of Object.entries(FUNCTIONS)) {
  const right = () => kinds.map((kind) => KINDS[kind].right());
  const failure = await attempt(`${name} as it should be`, () => call(...right()));
  if (failure !== undefined) problems.push(`${name} as it should be: ${failure}`);
  for (const [i, kind] of kinds.entries()) {
    const { wrong, accepts } = KINDS[kind];
    for (const garbage of [...wrong(), ...strange().filter((x) => !accepts(x))]) {
      const args = right();
      args[i] = garbage;
      const what = `${name}, argument ${i} (${kind}): ${describe(garbage)}`;
      if ((await attempt(what, () => call(...args))) === undefined) problems.push(`did not throw: ${what}`);
    }
  }
  for (let n = 0; n < kinds.length; n++) {
    if ((await attempt(`${name} of ${n} arguments`, () => call(...right().slice(0, n)))) === undefined)
      problems.push(`did not throw: ${name} of ${n}`);
  }
}

// On objects that are none, on closed files, on files mapped for reading.
const proto = addon.MappedFile.prototype;
for (const name of Object.getOwnPropertyNames(proto)) {
  if (name === "constructor") continue;
  const { get, value } = Object.getOwnPropertyDescriptor(proto, name);
  const kinds = FUNCTIONS[`file.${name}`]?.kinds ?? [];
  const args = () => kinds.map((kind) => KINDS[kind].right());
  for (const self of [
    ...strange(),
    index,
    plan,
    prepared,
    proto,
    Object.create(file),
    new Proxy(file, {}),
    ...(name === "close" ? [] : [closed]),
  ]) {
    const what = `file.${name} of ${describe(self)}`;
    if ((await attempt(what, () => (get ?? value).apply(self, args()))) === undefined) problems.push(`did not throw: ${what}`);
  }
  const writes = [
    "perturb",
    "copyFrom",
    "redraw",
    "planCollide",
    "planDiffuse",
    "planEvolve",
    "run",
    "prepare",
    "write",
    "drop",
  ].includes(name);
  for (const self of writes
    ? [readOnly, ...(["planCollide", "planDiffuse", "planDraw", "planEvolve", "redraw", "drop"].includes(name) ? [] : [little])]
    : []) {
    const what = `file.${name} of a file that is ${self === little ? "too small" : "read-only"}`;
    if ((await attempt(what, () => value.apply(self, args()))) === undefined) problems.push(`did not throw: ${what}`);
  }
}
if ((await attempt("MappedFile without new", () => addon.MappedFile(best, 2, paths[0], true))) === undefined)
  problems.push("MappedFile without new");
await attempt("an empty file", () => open(empty).sumSquares(0, 0, format));

// Of the weights of one journal, one draw at a time.
const first = file.redraw(source, KINDS.redrawn.right());
if ((await attempt("a second draw at a time", () => file.redraw(source, KINDS.redrawn.right()))) === undefined)
  problems.push("two draws at a time");
await first;
await file.redraw(source, KINDS.redrawn.right());

// Memory that could go away while threads work.
for (const memory of [new ArrayBuffer(8 * format[2]), new ArrayBuffer(8 * format[2], { maxByteLength: 16 * format[2] })]) {
  const data = new Uint8Array(memory);
  if (
    (await attempt("perturbAsync of memory that may go", () => addon.perturbAsync(best, 2, data, record(format)))) === undefined
  )
    problems.push("moved what may go");
}

// A getter that takes memory away while arguments are read.
const stolen = bytes(1024);
const stealing = Object.defineProperty([record(format), new Float32Array(1)], 1, {
  get() {
    structuredClone(stolen.buffer, { transfer: [stolen.buffer] });
    return new Float32Array(1024);
  },
});
await attempt("an element that detaches the data", () => addon.perturb(best, stolen, stealing));

// Random calls: whatever they are given, and whether they throw or not, the process lives and nothing outside of the data is written.
let state = Number(seed) >>> 0;
const word = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state;
};
const below = (n) => Math.floor((word() / 2 ** 32) * n);
const pick = (list) => list[below(list.length)];
const odd = strange();
const wrongs = Object.fromEntries(Object.entries(KINDS).map(([kind, { wrong }]) => [kind, wrong()]));

/** A move that may well be one: any format, any numbers. */
function randomMove(encoded) {
  const fields = {
    ...(below(3) === 0 && { sigma: pick([0, 1e-30, 1e-4, 0.3, 50, 1e30, 3.4e38]) }),
    rounding: below(3),
    inSteps: below(2),
  };
  if (below(4) === 0) Object.assign(fields, { index: encoded[1] * below(2 ** 20) * pick([1, 1, 2 ** 20]) });
  if (below(4) === 0)
    Object.assign(fields, {
      rowLength: pick([0, 1, 7, 1e6, 2 ** 53]),
      width: pick([0, 32, 256]),
      matrix: pick([0, 256, 2 ** 20]),
    });
  const base = record(encoded, fields);
  if (below(6) === 0) base[below(base.length)] = pick([0, 1, 2, 3, 16, 64, 255, -1, -8, below(2 ** 31), Number.NaN, 1e18]);
  if (encoded[8] !== 0 && below(3) > 0) return base;
  return [base, pick([new Float32Array(below(5000)).fill(0.01), new Float32Array(below(2000)).map(() => below(3))])];
}

function randomArgument(kind, encoded) {
  const die = below(10);
  if (die === 0) return pick(odd);
  if (die === 1 && wrongs[kind].length > 0) return pick(wrongs[kind]);
  if (kind === "move") return randomMove(encoded);
  if (kind === "data" || kind === "both") return guarded(bytes(pick([0, 1, 2, 65, 300]), encoded));
  if (kind === "shared") return guarded(bytes(pick([0, 1, 2, 65, 300]), encoded), SharedArrayBuffer);
  if (kind === "format") return encoded;
  if (kind === "offset") return pick([0, 0, 1, below(LENGTH)]);
  if (kind === "length") return encoded[2] * below(LENGTH / encoded[2]);
  if (kind === "rows") return pick([null, { steps: new Float32Array(below(300)), rowLength: below(50) }]);
  if (kind === "stepIndex" && below(2) === 0) return indices.length > 0 ? pick(indices) : index;
  return KINDS[kind].right();
}

const names = Object.keys(FUNCTIONS);
const indices = [];
for (let i = 0; i < Number(randomCalls); i++) {
  const name = pick(names);
  const { encoded } = pick(formats);
  const args = FUNCTIONS[name].kinds.map((kind) => randomArgument(kind, encoded));
  let result;
  await attempt(`random call ${i}: ${name}(${args.map(describe).join("; ")})`, async () => {
    result = await FUNCTIONS[name].call(...args);
  });
  if (name === "file.indexSteps" && result !== undefined) indices.push(result);
  for (const arg of args) {
    if (arg instanceof Uint8Array && arg.byteOffset === GUARD && touched(arg))
      problems.push(`wrote outside of its data: random call ${i}: ${name}`);
  }
  if (i % 500 === 0) globalThis.gc?.();
}

// The same answers as at first: nothing that is shared was spoilt.
const data = bytes(8);
const again = data.slice();
addon.perturb(best, data, record(format, { sigma: 5 }));
addon.perturb(best, again, record(format, { sigma: 5 }));
if (Buffer.compare(data, again) !== 0) problems.push("the same call gives other bytes");
file.close();
source.close();
closeSync(log);
console.log(JSON.stringify({ calls, problems }));
