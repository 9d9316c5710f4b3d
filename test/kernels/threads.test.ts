// WebAssembly on several threads: the bytes of one thread, whatever happens to the others; and where threads come from and go to.
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import type { Kernels, ThreadKernels } from "../../src/kernels/contract.js";
import { type StartThread, startThread, type Thread } from "../../src/kernels/thread-host.js";
import { loadWasm } from "../../src/kernels/wasm.js";
import type { ThreadOptions } from "../../src/kernels/wasm-threads.js";
import { encodedFormat, FORMATS, formatNamed } from "../../src/lattice/formats.js";
import { perturbAsync } from "../../src/lattice/perturb-async.js";
import { mirror } from "../../src/laws/mirror.js";
import type { Move } from "../../src/laws/move.js";
import { Rounding, SUM_LEAF } from "../../src/laws/numbers.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { threadsOfSources } from "../support/wasm-threads.js";

const ROOT = resolve(import.meta.dirname, "../..");
const { folder, start, threaded } = threadsOfSources();
const alone = loadWasm("simd128", 1);

function blocks(type: string, weights: number): Uint8Array {
  const { bytes, weights: each } = formatNamed(type)!;
  // Codes of all kinds; bytes below 64 keep every scale finite.
  return Uint8Array.from({ length: (weights / each) * bytes }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
}

const moveOf = (type: string, sigma = 0.4): Move => ({
  format: encodedFormat(formatNamed(type)!),
  sigma: Math.fround(sigma),
  inSteps: true,
  steps: type === "I8" ? new Float32Array(5000).map((_, row) => 0.01 * (1 + (row % 7))) : null,
  rowLength: 1000,
  rounding: Rounding.matched,
  key: { k0: 7, k1: 8 },
  index: 256 * 99,
  tick: 3,
});

const refused: StartThread = () => {
  throw new Error("workers are not allowed");
};

/** Three chunks and a tail that fills no block of the largest format twice. */
const WEIGHTS = 3 * SUM_LEAF + 3 * 256;
const shared = (data: Uint8Array) => {
  const copy = new Uint8Array(new SharedArrayBuffer(data.length));
  copy.set(data);
  return copy;
};

describe("in every format, the bytes of one thread", () => {
  const moved = new Map<string, { before: Uint8Array; after: Uint8Array; changed: number }>();
  beforeAll(() => {
    for (const { name } of FORMATS) {
      const before = blocks(name, WEIGHTS);
      const after = before.slice();
      moved.set(name, { before, after, changed: alone.perturb(after, moveOf(name)) });
    }
  });
  const copied = (data: Uint8Array) => data.slice();

  it.each<[string, number, ThreadOptions, (data: Uint8Array) => Uint8Array]>([
    ["from 1, in slices", 1, {}, copied],
    ["from 2, through shared memory", 2, {}, copied],
    ["from 2, through copies", 2, { shared: false }, copied],
    ["from 2, in memory that is shared", 2, {}, shared],
    ["from 3, through shared memory", 3, {}, copied],
  ])("%s", async (_, number, options, lay) => {
    const kernels = number === 1 ? loadWasm("simd128", 2, { leaves: 1, start: refused }) : await threaded(number, options);
    for (const [name, { before, after, changed }] of moved) {
      expect(changed, name).toBeGreaterThan(1000);
      const data = lay(before);
      expect(await kernels.perturbAsync?.(data, moveOf(name)), name).toBe(changed);
      expect(Buffer.compare(data, after), name).toBe(0);
    }
  });
});

describe("threads", () => {
  it("evolve, sum and count as one does, by laws that they know and that they do not", async () => {
    const kernels = await threaded(2);
    for (const type of ["Q8_0", "Q4_K", "IQ4_NL", "F16"]) {
      const move = moveOf(type);
      const pristine = blocks(type, WEIGHTS);
      for (const law of type === "Q8_0" ? [relaxation, mirror] : [relaxation]) {
        const live = pristine.slice();
        alone.perturb(live, { ...move, tick: 2 });
        const expected = live.slice();
        const changed = alone.evolve(expected, pristine, move, law, 0.9);
        expect(await kernels.threads.evolve(live, pristine, move, law, 0.9), `${type} ${law.name}`).toBe(changed);
        expect(Buffer.compare(live, expected)).toBe(0);
      }
      const sums = await kernels.threads.sumLeaves(pristine, move.format, 0);
      expect(sums.length).toBe(4);
      expect(sums.reduce((sum, leaf) => sum + leaf, 0)).toBe(alone.sumSquares(pristine, move.format, null, 1, 0, 0));
      if (type === "F16") continue;
      const census = await kernels.threads.census(pristine, move.format, undefined, 0);
      expect(census).toEqual(alone.census(pristine, move.format, undefined, 0));
    }
  });

  it("leave the event loop to others, and stop between chunks", async () => {
    const kernels = await threaded(2);
    const data = blocks("F16", 20 * SUM_LEAF);
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await perturbAsync(data, { type: "F16", sigma: 0.1, seed: 1n }, kernels);
    clearImmediate(timer);
    expect(turns).toBeGreaterThan(10); // a turn for every chunk that comes back, at least
    const controller = new AbortController();
    const running = kernels.perturbAsync?.(data, moveOf("F16"), controller.signal);
    controller.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
  });

  it("are few for what is seldom hit: that is done here", async () => {
    let orders = 0;
    const kernels = await threaded(2, { start: counting(() => orders++) });
    const data = blocks("Q8_0", WEIGHTS);
    const expected = data.slice();
    const move = moveOf("Q8_0", 0.01);
    expect(await kernels.perturbAsync?.(data, move)).toBe(alone.perturb(expected, move));
    expect(Buffer.compare(data, expected)).toBe(0);
    expect(orders).toBe(2); // of the two threads, what they are told first
  });

  it("end when they have had nothing to do, and are there again when they are wanted", async () => {
    const kernels = await threaded(2, { idle: 1 });
    for (let round = 0; round < 3; round++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const data = blocks("Q4_0", WEIGHTS);
      const expected = data.slice();
      expect(await kernels.perturbAsync?.(data, moveOf("Q4_0"))).toBe(alone.perturb(expected, moveOf("Q4_0")));
      expect(Buffer.compare(data, expected)).toBe(0);
      kernels.threads.expect(2e9);
      expect(await kernels.threadsHere?.()).toMatchObject({ number: 2 });
    }
  });
});

/** Threads whose messages are counted, or otherwise met. */
function counting(met: (thread: Thread) => void): StartThread {
  return (ears) => {
    const thread = start(ears);
    return {
      ...thread,
      post(message, transfer) {
        thread.post(message, transfer);
        met(thread);
      },
    };
  };
}

/** Threads of which the one that gets the first order dies over it, as a thread does that runs out of memory: by itself. */
function mortal(): StartThread {
  let died = false;
  return (ears) => {
    let posts = 0;
    const thread = start(ears);
    return {
      ...thread,
      post(message, transfer) {
        thread.post(message, transfer);
        if (died || ++posts < 2) return; // the greeting
        died = true;
        thread.end();
        ears.died("no memory is left");
      },
    };
  };
}

describe("a thread that dies", () => {
  it.each([
    ["shared", {}],
    ["copied", { shared: false }],
  ])("loses nothing of memory that is %s: what it had is done here", async (_, options) => {
    const kernels = await threaded(2, { ...options, start: mortal() });
    for (let round = 0; round < 2; round++) {
      const data = blocks("Q4_K", WEIGHTS);
      const expected = data.slice();
      expect(await kernels.perturbAsync?.(data, moveOf("Q4_K"))).toBe(alone.perturb(expected, moveOf("Q4_K")));
      expect(Buffer.compare(data, expected)).toBe(0);
    }
  });

  it("is an error that says so where it moved the caller's own memory, and the next call goes well", async () => {
    const kernels = await threaded(2, { start: mortal() });
    const before = blocks("Q4_0", WEIGHTS);
    await expect(kernels.perturbAsync?.(shared(before), moveOf("Q4_0"))).rejects.toMatchObject({
      code: "backend-unavailable",
      message: expect.stringMatching(/no memory is left.*moved in part/),
    });
    const data = shared(before);
    const expected = before.slice();
    expect(await kernels.perturbAsync?.(data, moveOf("Q4_0"))).toBe(alone.perturb(expected, moveOf("Q4_0")));
    expect(Buffer.compare(data, expected)).toBe(0);
  });
});

describe("where there can be no threads", () => {
  const hosts: [string, StartThread, RegExp][] = [
    ["they are not allowed", refused, /not allowed/],
    ["their file is not there", (ears) => startThread(ears, pathToFileURL(join(folder, "none.js"))), /none\.js/],
  ];
  it.each(hosts)("because %s, one does it, and says why", async (_, begin, reason) => {
    const kernels = loadWasm("simd128", 2, { leaves: 1, start: begin }) as Kernels & { threads: ThreadKernels };
    kernels.threads.expect(1e9);
    const data = blocks("Q6_K", WEIGHTS);
    const expected = data.slice();
    expect(await kernels.perturbAsync?.(data, moveOf("Q6_K"))).toBe(alone.perturb(expected, moveOf("Q6_K")));
    expect(Buffer.compare(data, expected)).toBe(0);
    expect(await kernels.threadsHere?.()).toEqual({ number: 0, reason: expect.stringMatching(reason) });
  });

  it("one thread is told as such", async () => {
    expect(await alone.threadsHere?.()).toEqual({ number: 0, reason: expect.stringContaining("BROWNIAN_THREADS") });
  });
});

describe("what is built has the file of its threads beside it", () => {
  const BODY = `
    const data = new Uint8Array(34 * 2 ** 20); // 32 Mi weights
    for (let i = 0; i < 34 * 64; i++) data[i] = i % 34 === 0 ? 0 : i % 34 === 1 ? 0x20 : i & 63;
    for (let done = 34 * 64; done < data.length; done *= 2) data.copyWithin(done, 0, done);
    const same = data.slice(0, 34 * 4096);
    const options = { type: "Q8_0", sigma: 0.01, seed: 1n };
    brownian.perturb(same, options);
    brownian.perturbAsync(data, options)
      .then(() => brownian.backend.threads())
      .then((threads) => console.log(brownian.backend.name, Buffer.compare(same, data.subarray(0, same.length)), JSON.stringify(threads)));`;
  const run = (code: string, type: string, ...flags: string[]) => {
    const env = { ...process.env, BROWNIAN_BACKEND: "wasm", BROWNIAN_THREADS: "2" };
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, `--input-type=${type}`, "-e", code], {
      encoding: "utf8",
      env,
    });
    expect({ status, stderr: flags.length > 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    return stdout;
  };
  const url = (name: string) => JSON.stringify(pathToFileURL(join(ROOT, "dist", name)).href);
  const esm = (name: string) => `import * as brownian from ${url(name)};${BODY}`;
  const cjs = (name: string) => `const brownian = require(${JSON.stringify(join(ROOT, "dist", name))});${BODY}`;
  const works = 'wasm 0 {"number":2,"memory":"shared"}\n';

  it.each([
    ["esm/index.js", "module", esm],
    ["esm/web.js", "module", esm],
    ["cjs/index.js", "commonjs", cjs],
    ["cjs/web.js", "commonjs", cjs],
  ])("%s", (name, type, program) => expect(run(program(name), type)).toBe(works));

  it("and goes without where Node's permission model forbids workers", () => {
    const seen = run(esm("esm/index.js"), "module", "--experimental-permission", "--allow-fs-read=*");
    expect(seen).toMatch(/^wasm 0 \{"number":0,"reason":"Access to this API has been restricted.*"\}\n$/);
  });
});
