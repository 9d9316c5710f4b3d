// The WebAssembly modules by themselves: the same as JavaScript with memory that grows and indices at their ends, nothing written beside
// the view of the caller, and what is said where WebAssembly cannot run.
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Kernels } from "../../src/kernels/contract.js";
import { WASM as SCALAR } from "../../src/kernels/generated/scalar.wasm.js";
import { WASM as SIMD } from "../../src/kernels/generated/simd.wasm.js";
import { jsKernels } from "../../src/kernels/js.js";
import { loadWasm } from "../../src/kernels/wasm.js";
import { encodedFormat, formatNamed } from "../../src/lattice/formats.js";

import type { Evolution } from "../../src/laws/evolution.js";
import type { Move } from "../../src/laws/move.js";
import * as contract from "../../src/laws/numbers.js";
import { SUM_LEAF } from "../../src/laws/numbers.js";
import { relaxation } from "../../src/laws/relaxation.js";

import { wasm } from "../support/backends.js";

const I8 = encodedFormat(formatNamed("I8")!);
const MOVE: Omit<Move, "format" | "steps" | "rowLength" | "index"> = {
  sigma: 1,
  inSteps: false,
  rounding: contract.Rounding.matched,
  key: { k0: 0x12345678, k1: 0x9abcdef0 },
  tick: 5,
};

/** Bytes that differ from each other and from call to call: a multiplicative walk. */
function someBytes(n: number, salt: number): Uint8Array {
  return Uint8Array.from({ length: n }, (_, i) => Math.imul(i + salt, 0x9e3779b1) >>> 24);
}

function expectSame(kernels: Kernels, data: Uint8Array, move: Move): void {
  const expected = data.slice();
  const changed = jsKernels.perturb(expected, move);
  // Between guards: nothing beside the caller's view may be written.
  const around = new Uint8Array(data.length + 9).fill(0xa5);
  around.set(data, 5);
  expect(kernels.perturb(around.subarray(5, 5 + data.length), move)).toBe(changed);
  expect(Buffer.compare(around.subarray(5, 5 + data.length), expected)).toBe(0);
  expect([...around.subarray(0, 5), ...around.subarray(5 + data.length)]).toEqual(Array(9).fill(0xa5));
  const sum = (k: Kernels) => k.sumSquares(data, move.format, move.steps, move.rowLength, move.index, 0.25);
  expect(sum(kernels)).toBe(sum(jsKernels));
}

describe("modules", () => {
  it.each([
    ["scalar", SCALAR],
    ["simd", SIMD],
  ])("%s imports nothing and is content with 1 MiB", (_, code) => {
    const module = new WebAssembly.Module(Buffer.from(code, "hex"));
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    const { memory } = new WebAssembly.Instance(module).exports as { memory: WebAssembly.Memory };
    expect(memory.buffer.byteLength).toBeLessThanOrEqual(1 << 20);
  });
});

describe.each(wasm)("$name", ({ kernels }) => {
  it.each([1, 7, 4095, 4096, 4097, 65535, 65537, 100_000])("follows rows of %i weights across tiles and leaves", (rowLength) => {
    const index = 12_345;
    const n = 2 * SUM_LEAF + 77;
    const steps = new Float32Array(Math.ceil((index + n) / rowLength)).map((_, row) => (row % 5 === 0 ? 0 : 0.25 + (row % 11)));
    expectSame(kernels, someBytes(n, rowLength), { ...MOVE, format: I8, steps, rowLength, index });
  });

  it("takes indices up to the largest safe integer", () => {
    const n = 5000;
    const move = { ...MOVE, format: I8, steps: Float32Array.of(1), rowLength: Number.MAX_SAFE_INTEGER };
    // The words of moves serve eight weights a block: 2^35 weights are where its lower half wraps around.
    for (const index of [2 ** 35 - 2501, 2 ** 34 - 77, Number.MAX_SAFE_INTEGER - n]) {
      expectSame(kernels, someBytes(n, 3), { ...move, index });
      expectSame(kernels, someBytes(n, 4), { ...move, index, sigma: 3 });
    }
  });

  it("refines moves that 15 bits leave open", () => {
    // At s = 1 one weight in 5500 is left open: about 70 here, each of them a chance to differ.
    const n = 6 * SUM_LEAF;
    const move = { ...MOVE, format: I8, steps: Float32Array.of(1), rowLength: Number.MAX_SAFE_INTEGER, index: 1 };
    expectSame(kernels, new Uint8Array(n), move);
    expectSame(kernels, new Uint8Array(n), { ...move, sigma: Math.fround(0.004) });
  });
});

/** An evolution that no module has a kernel of: every code is mirrored at its pristine one with probability `strength`, and then kicked. */
const mirror: Evolution = {
  name: "perturb", // as an export that is no evolution
  parameters: (strength) => Float32Array.of(strength),
  step: (live, pristine, move, [share], work) =>
    work.eachTile(live.length, move, (from, blocks) => {
      let changed = 0;
      for (let i = 0; i < blocks; i++) {
        if (work.draws.pullWord(i) >= share! * 2 ** 32) continue;
        const before = live[from + i]!;
        live[from + i] = 2 * pristine[from + i]! - before + Math.round(work.draws.normal(i));
        changed += before === live[from + i] ? 0 : 1;
      }
      return changed;
    }),
};

describe.each(wasm)("evolutions on $name", ({ kernels }) => {
  const move = { ...MOVE, format: I8, steps: Float32Array.of(1), rowLength: Number.MAX_SAFE_INTEGER, index: 4097 };
  const evolved = (by: Kernels, law: Evolution) => {
    const live = someBytes(10_000, 5);
    return { changed: by.evolve(live, someBytes(10_000, 6), move, law, 0.25), live };
  };

  it("takes the law's own step where the module has no kernel of it, with the bytes of JavaScript", () => {
    const { changed, live } = evolved(kernels, mirror);
    expect(changed).toBeGreaterThan(2000);
    expect({ changed, live }).toEqual(evolved(jsKernels, mirror));
  });

  it("takes the module's kernel where there is one, not the law's step", () => {
    const never = () => expect.unreachable();
    expect(evolved(kernels, { ...relaxation, step: never })).toEqual(evolved(jsKernels, relaxation));
  });
});

describe("where WebAssembly cannot run", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("says that there is none", () => {
    vi.stubGlobal("WebAssembly", undefined);
    expect(() => loadWasm("scalar")).toThrow("this host has no WebAssembly");
  });

  it("says which code the host refuses, SIMD by default", () => {
    vi.stubGlobal("WebAssembly", { validate: () => false });
    expect(() => loadWasm(undefined)).toThrow("this host's WebAssembly does not run simd128 code");
    expect(() => loadWasm("scalar")).toThrow("this host's WebAssembly does not run scalar code");
  });

  it("knows no other ISA", () => {
    expect(() => loadWasm("avx2")).toThrow("there is no WebAssembly module for avx2, only for simd128, scalar");
  });
});
