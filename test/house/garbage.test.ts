// What public functions do with what they are not made for: every export of every entry, and every method of what they make, is called with
// values of all kinds, and gives a result or a BrownianError; never an error of JavaScript's own.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as main from "../../src/index.js";
import * as llama from "../../src/index.llama.js";
import * as web from "../../src/index.web.js";
import * as learn from "../../src/learn/index.js";
import { GENERATE } from "../../src/llama/write.js";
import * as sampling from "../../src/sampling/index.js";
import { THERMOSTAT } from "../../src/thermostat/noise.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const circle: Record<string, unknown> = {};
circle.self = circle;
// Not proxies that were revoked: whatever touches one, be it instanceof or Array.isArray, throws by the language's own rules.
const GARBAGE: readonly unknown[] = [
  ...[undefined, null, true, 0, -1, 0.5, Number.NaN, 1e300, 3n, "", "x", "[", "a\0b", Symbol("s")],
  ...[[], [null], [[]], {}, { a: 1 }, () => undefined, new Date(), Object.create(null), /x/, circle],
  ...[new DataView(new ArrayBuffer(8)), new BigInt64Array(2), Object.create(Float32Array.prototype)],
  ...[new Proxy(new Float32Array(3), {}), new Proxy([1, 2], {}), new Proxy({ a: 1 }, {})],
  ...[new Float32Array(new SharedArrayBuffer(8)), new Uint8ClampedArray(3), new Int16Array(3)],
  ...[new Float32Array(3), new Uint8Array(3), new Float64Array(0), new ArrayBuffer(2), Promise.resolve(1), new Map()],
];

/** One of each kind, where calls take longer. */
const KINDS = [null, true, -1, Number.NaN, 1e300, 3n, "x", Symbol("s"), [null], { a: 1 }, () => undefined, Object.create(null)];

// Vitest's is 100, which is most of the time that an error takes; there are tens of thousands.
Error.stackTraceLimit = 10;

type Callable = (...args: readonly unknown[]) => unknown;

/** What was thrown, if that is no error of ours; waits for promises, and for the first piece of what is generated. */
async function wrong(label: string, call: () => unknown): Promise<string[]> {
  try {
    const result = (await call()) as { next?: () => unknown; return?: () => unknown } | undefined;
    if (typeof result?.next === "function") {
      await result.next();
      await result.return?.();
    }
  } catch (error) {
    if (!(error instanceof main.BrownianError)) return [`${label}: ${String((error as Error)?.stack ?? error).slice(0, 300)}`];
  }
  return [];
}

/** Ways to call with one kind of garbage: alone, many times, and after what is right. */
function* argumentsOf(garbage: unknown, right: readonly unknown[] = []): Generator<readonly unknown[]> {
  yield [];
  yield [garbage];
  yield [garbage, garbage];
  yield [garbage, garbage, garbage, garbage];
  yield [garbage, {}];
  for (let i = 0; i < right.length; i++) yield right.map((one, at) => (at === i ? garbage : one));
}

async function all(label: string, call: Callable, right?: readonly unknown[]): Promise<string[]> {
  const found: string[] = [];
  for (const garbage of GARBAGE)
    for (const args of argumentsOf(garbage, right)) found.push(...(await wrong(label, () => call(...args))));
  return [...new Set(found)];
}

const isClass = (value: unknown) => /^class\b/.test(Function.prototype.toString.call(value));
const q8 = new Uint8Array(34);
const dense = { weight: new Float32Array(4), bias: new Float32Array(2) };
/** Arguments that are right, of functions where garbage in one place is hidden by garbage in those before it. */
const RIGHT: Readonly<Record<string, readonly unknown[]>> = {
  adaptSigma: [0.1, 0.2, { target: 0.1 }],
  auroc: [[1], [2]],
  compressionRatio: [["a"], (bytes: Uint8Array) => bytes],
  decode: ["Q8_0", q8],
  ece: [[0.5, 0.5], [1], 2, 3],
  ensemble: [[[0.5, 0.5]], [1]],
  gaussianMax: [[1, 2], new main.Noise(1n).stream("x"), { tick: 1 }, 1],
  gumbel: [new Float64Array(2), new main.Noise(1n).stream("x"), { tick: 1 }],
  gumbelMax: [[1, 2], new main.Noise(1n).stream("x"), { tick: 1 }, { temperature: 1 }],
  MovingNetwork: [[dense], 2, { type: "I8" }],
  perturb: [q8, { type: "Q8_0", sigma: 1, seed: 1n }],
  perturbAsync: [q8, { type: "Q8_0", sigma: 1, seed: 1n }],
  probabilities: [[1, 2], 2, 1],
  quantizeI8: [new Float32Array(4), 2],
  selfBleu: [
    [
      [1, 2],
      [1, 2],
    ],
    1,
  ],
};

beforeAll(() => learn.init());

describe.each(Object.entries({ main, web, llama, sampling, learn }))("%s", (_, door) => {
  const functions = Object.entries(door).filter(([, value]) => typeof value === "function");

  it.each(functions)("%s", async (name, value) => {
    const call = (
      isClass(value) ? (...args: never[]) => new (value as new (...a: never[]) => unknown)(...args) : value
    ) as Callable;
    expect(await all(name, call, RIGHT[name])).toEqual([]);
  });
});

/** Calls all methods of an object, but for those that end it. */
async function methods(object: object, right: Readonly<Record<string, readonly unknown[]>>, without: readonly string[] = []) {
  const prototype = Object.getPrototypeOf(object);
  const found: string[] = [];
  const names = Object.getOwnPropertyNames(prototype).filter((name) => name !== "constructor" && !without.includes(name));
  for (const name of names) {
    if (typeof Object.getOwnPropertyDescriptor(prototype, name)?.value !== "function") continue;
    found.push(...(await all(name, (...args) => (object as Record<string, Callable>)[name]?.(...args), right[name])));
  }
  return found;
}

const folder = scratchFolder();

describe("methods", () => {
  it("of noise, ensembles and networks", async () => {
    const noise = new main.Noise(1n);
    expect(await methods(noise, {})).toEqual([]);
    const out = new Float32Array(4);
    const places = { bits: [new Uint32Array(4), { index: 1 }], uniform: [out, { index: 1 }], normal: [out, { index: 1 }] };
    expect(await methods(noise.stream("x"), places)).toEqual([]);
    expect(await methods(new main.Ensemble(2), {})).toEqual([]);
    const network = new learn.MovingNetwork([dense], 2);
    expect(await methods(network, { move: [{ sigma: 0.1, seed: 1n }] })).toEqual([]);
    const key = new learn.Key(1n);
    expect(await methods(key, { numbers: ["normal", 2, 0, 0], normal: [[2], 0] })).toEqual([]);
  });

  it("of thermostats, and their options one by one", async () => {
    const path = join(folder, "small.gguf");
    writeGguf(path, [{ name: "a.weight", type: "F32", shape: [32] }], { metadata: { "general.architecture": "llama" } });
    const bath = await main.Thermostat.open(path, { sigma: 0.1 });
    const inner = ["bath", "drawAt", "along", "step", "plan", "exclusively", "close"]; // private, or the end
    expect(await methods(bath, { draw: [1, {}] }, inner)).toEqual([]);
    for (const name of Object.keys(THERMOSTAT))
      expect(await all(`configure ${name}`, (garbage) => bath.configure({ [name]: garbage }))).toEqual([]);
    await bath.close();
    for (const name of [...Object.keys(THERMOSTAT), "scratch", "onProgress"])
      for (const garbage of GARBAGE) {
        const open = async () => (await main.Thermostat.open(path, { sigma: 0.1, [name]: garbage } as never)).close();
        if (!(name === "scratch" && typeof garbage === "string")) expect(await wrong(`open ${name}`, open)).toEqual([]);
      }
    rmSync(path);
  });

  describe("of models", () => {
    const path = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
    let model: llama.Model;
    beforeAll(async () => {
      model = await llama.loadModel(path, { threads: 1, contextSize: 16, scratch: folder });
    });
    afterAll(() => model.dispose());

    it("and options of generate one by one", async () => {
      const short = { maxTokens: 1 };
      const right = {
        generate: ["A", short],
        complete: ["A", short],
        score: ["A king", {}, () => undefined],
        uncertainty: ["A", { ...short, members: 1 }],
        follow: ["A", [5]],
        embed: [["A"], {}],
        tokens: ["A", {}],
        tokenize: ["A", {}],
        text: [[5], [6]],
        windows: ["A king", {}],
      };
      expect(await methods(model, right, ["dispose"])).toEqual([]);
      for (const name of Object.keys(GENERATE))
        for (const garbage of KINDS) {
          if (name === "promptCache" && typeof garbage === "string") continue; // a file of this name
          const options = { ...short, [name]: name === "maxTokens" && garbage === 1e300 ? 1 : garbage } as never;
          expect(await wrong(`generate ${name}`, () => model.complete("A", options))).toEqual([]);
        }
    });
  });
});

describe("options that nobody knows", () => {
  it.each([
    ["perturb", () => main.perturb(q8, { type: "Q8_0", sigma: 1, seed: 1n, ronding: "matched" } as never), "rounding"],
    ["perturbFile", () => main.perturbFile("a", "b", { sigma: 1, sed: 1n } as never), "seed"],
    ["Thermostat.open", () => main.Thermostat.open("a", { sigma: 1, dynamic: "white" } as never), "dynamics"],
    ["loadModel", () => llama.loadModel("a", { thread: 1 } as never), "threads"],
    ["A heat", () => main.softmax([1], { temprature: 1 } as never), "temperature"],
    ["adam", () => learn.adam({ beta: 1 } as never), "beta1"],
  ])("%s names the nearest", async (of, call, nearest) => {
    const error = await (async () => call())().catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "usage", message: expect.stringContaining(`${of} has no option`) });
    expect(error.message).toContain(`the nearest is ${nearest}.`);
  });
});
