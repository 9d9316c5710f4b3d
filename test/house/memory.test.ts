// Memory that is not what it is said to be: other kinds of arrays, memory that is gone or goes away meanwhile, arrays and options that lie. Every
// public function that takes an array refuses it by name, on every backend; none reads or writes where it must not.
import { describe, expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import {
  decode,
  FORMATS,
  gumbel,
  Noise,
  type PerturbOptions,
  perturb,
  perturbAsync,
  quantizeI8,
  quantizeQ8_0,
  type Stream,
} from "../../src/index.js";
import { variants } from "../support/backends.js";

const base: PerturbOptions = { type: "Q8_0", sigma: 0.5, seed: 1n, scale: "step" };

/** Blocks of Q8_0, after which they come again. */
const PERIOD = Uint8Array.from({ length: 34 * 32 }, (_, i) => (i % 34 < 2 ? 0x2c : (i * 7) & 63));

function blocks(count: number, buffer: ArrayBufferLike = new ArrayBuffer(34 * count)): Uint8Array {
  const data = new Uint8Array(buffer, 0, 34 * count);
  for (let at = 0; at < data.length; at += PERIOD.length) data.set(PERIOD.subarray(0, data.length - at), at);
  return data;
}

const transferred = <T extends ArrayBufferView>(array: T): T => {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
};
type Resizable = ArrayBuffer & { resize(bytes: number): void };
const resizable = (bytes: number) =>
  new (ArrayBuffer as never as { new (n: number, o: object): Resizable })(bytes, { maxByteLength: bytes });

/** An array that ends beyond the end of its buffer. */
function cutOff(Kind: { new (buffer: ArrayBuffer, offset: number, length: number): ArrayBufferView }): ArrayBufferView {
  const buffer = resizable(4096);
  const array = new Kind(buffer, 1024, 34);
  buffer.resize(1024);
  return array;
}

const KINDS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
];

/** What is no array of this kind, or has no memory. */
function garbage(kind: { readonly name: string }): unknown[] {
  const others = KINDS.filter(({ name }) => name !== kind.name);
  const Kind = kind as typeof Uint8Array;
  return [
    ...others.map((Other) => new Other(136)),
    ...others.map((Other) => Object.setPrototypeOf(new Other(136), Kind.prototype)),
    ...(kind.name === "Uint8Array" ? [] : [Buffer.alloc(136)]),
    ...[
      new DataView(new ArrayBuffer(136)),
      new ArrayBuffer(136),
      [0, 0],
      null,
      undefined,
      "text",
      7,
      7n,
      Symbol("x"),
      {},
      () => 0,
    ],
    ...[Object.create(Kind.prototype), Object.create(null), new Proxy(new Kind(136), {}), new BigInt64Array(17)],
    ...[transferred(new Kind(136)), transferred(new Kind(0)), cutOff(Kind)],
  ];
}

/** Refused by name, and not by a TypeError of whoever came upon it. */
function refused(call: () => unknown, what: unknown): void {
  let error: unknown;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  const name = Object.prototype.toString.call(what);
  expect(error, `${name} is taken`).toBeInstanceOf(BrownianError);
  expect((error as BrownianError).code, name).toMatch(/^(usage|unsupported-type)$/);
}

describe.each(variants)("memory on $name", ({ kernels }) => {
  const stream: Stream = new Noise(1n, kernels).stream("x");

  it("noise goes into arrays of its kind only", () => {
    for (const what of garbage(Uint32Array)) refused(() => stream.bits(what as never), what);
    for (const what of garbage(Float32Array)) {
      refused(() => stream.uniform(what as never), what);
      refused(() => stream.normal(what as never), what);
    }
    for (const what of garbage(Float64Array)) refused(() => gumbel(what as never, stream), what);
    for (const at of [null, 5, "x", { index: 1n }, { tick: Symbol("x") }, { index: Object.create(null) }])
      refused(() => stream.bits(new Uint32Array(4), at as never), at);
    for (const name of [5, null, undefined, Symbol("x"), {}]) refused(() => new Noise(1n, kernels).stream(name as never), name);
  });

  it("moves take bytes only, and undo, and steps of their kind", async () => {
    for (const what of garbage(Uint8Array)) {
      refused(() => perturb(what as never, base, kernels), what);
      await expect(perturbAsync(what as never, base, kernels)).rejects.toBeInstanceOf(BrownianError);
      if (what !== undefined) refused(() => perturb(blocks(4), { ...base, undo: what as never }, kernels), what);
    }
    for (const what of garbage(Float32Array).filter((what) => what !== 7))
      refused(() => perturb(new Uint8Array(136), { ...base, type: "I8", step: what as never }, kernels), what);
  });

  it("takes views of all memory that is there: Buffers, shared, resizable, at odd places", () => {
    const expected = blocks(4);
    perturb(expected, base, kernels);
    const growing = resizable(34 * 4);
    const all = new Uint8Array(1 + 34 * 4);
    all.set(blocks(4), 1);
    for (const data of [Buffer.from(blocks(4)), blocks(4, new SharedArrayBuffer(136)), blocks(4, growing), all.subarray(1)]) {
      perturb(data, base, kernels);
      expect([...data]).toEqual([...expected]);
    }
  });

  it("does not believe what arrays say of themselves", async () => {
    class Liar extends Uint8Array {
      static override get [Symbol.species]() {
        return Float64Array as never;
      }
      override subarray() {
        return new Uint8Array(3) as never;
      }
      override set() {
        throw new Error("set");
      }
    }
    const expected = blocks(8);
    const moved = perturb(expected, base, kernels);
    const longer = Object.defineProperty(blocks(8), "length", { value: 34 * 1e6 });
    const elsewhere = Object.defineProperty(blocks(8), "subarray", { value: () => ({ length: 5 }) });
    for (const liar of [new Liar(blocks(8)), longer, elsewhere]) {
      const copy = new Liar(liar);
      expect(perturb(liar, base, kernels)).toEqual(moved);
      expect(Buffer.from(liar.buffer)).toEqual(Buffer.from(expected));
      expect(await perturbAsync(copy, { ...base, undo: new Liar(34 * 8) }, kernels)).toEqual(moved);
    }
  });

  it("reads options once, before memory that they could take away", () => {
    const buffer = resizable(34 * 64);
    const data = blocks(64, buffer);
    const shrinks = {
      ...base,
      get undo() {
        buffer.resize(34);
        return undefined;
      },
    };
    refused(() => perturb(data, shrinks as never, kernels), data);
    const steps = resizable(4000);
    const step = new Float32Array(steps).fill(0.1);
    const cut = {
      ...base,
      type: "I8",
      step,
      get rowLength() {
        steps.resize(4);
        return 1;
      },
    };
    refused(() => perturb(new Uint8Array(1000), cut, kernels), step);
    let asked = 0;
    const flips = {
      ...base,
      get index() {
        return asked++ === 0 ? 0 : -5;
      },
    };
    expect(perturb(blocks(8), flips, kernels).weights).toBe(256);
    for (const more of [
      { type: Symbol("x") },
      { name: 5 },
      { name: Symbol("x") },
      { sigma: Symbol("x") },
      { tick: {} },
      { scale: 1n },
    ])
      refused(() => perturb(blocks(8), { ...base, ...more } as never, kernels), more);
    for (const options of [null, undefined, 5]) refused(() => perturb(blocks(8), options as never, kernels), options);
  });

  it("buffers may be transferred or shrink while perturbAsync runs", async () => {
    const COUNT = 200_000; // more than is moved before others have their turn
    const ways: [string, () => Uint8Array, (data: Uint8Array) => unknown][] = [
      ["transferred", () => blocks(COUNT), transferred],
      ["shrunk", () => blocks(COUNT, resizable(34 * COUNT)), (data) => (data.buffer as Resizable).resize(34)],
      ["emptied", () => blocks(COUNT, resizable(34 * COUNT)), (data) => (data.buffer as Resizable).resize(0)],
    ];
    for (const [way, make, take] of ways)
      for (const later of [false, true]) {
        const data = make();
        const moved = perturbAsync(data, base, kernels);
        if (later) await new Promise((resolve) => setImmediate(resolve));
        take(data);
        globalThis.gc?.();
        const error = await moved.then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error, `${way}${later ? " later" : ""}`).toMatchObject({
          code: "usage",
          message: expect.stringContaining("went away"),
        });
      }
  });

  it("steps may go while perturbAsync runs: it has read them", async () => {
    const rows = 200_000;
    const buffer = resizable(4 * rows);
    const step = new Float32Array(buffer).fill(0.1);
    const options = { type: "I8", sigma: 0.05, seed: 1n, rowLength: 1 };
    const expected = new Uint8Array(rows);
    const moved = perturb(expected, { ...options, step }, kernels);
    const data = new Uint8Array(rows);
    const running = perturbAsync(data, { ...options, step }, kernels);
    buffer.resize(4);
    expect(await running).toEqual(moved);
    expect(Buffer.compare(data, expected)).toBe(0);
  });
});

describe("memory", () => {
  it("decode takes a format or its name, and whole blocks of bytes", () => {
    const data = blocks(4);
    const format = FORMATS.find(({ name }) => name === "Q8_0")!;
    expect(decode("Q8_0", data)).toEqual(decode(format, data));
    for (const what of garbage(Uint8Array)) refused(() => decode("Q8_0", what as never), what);
    for (const what of [
      "q8_0",
      "Q9",
      "",
      "__proto__",
      8,
      null,
      undefined,
      {},
      { ...format },
      { ...format, bytes: 1 },
      Symbol("x"),
    ])
      refused(() => decode(what as never, data), what);
    refused(() => decode("Q8_0", new Uint8Array(33)), "33 bytes");
    refused(() => decode("F32", new Uint8Array(3)), "3 bytes");
    refused(() => decode("I8", new Uint8Array(4)), "I8");
  });

  it("quantizing takes Float32Arrays only", () => {
    for (const what of garbage(Float32Array)) {
      refused(() => quantizeQ8_0(what as never), what);
      refused(() => quantizeI8(what as never, 1), what);
    }
    for (const rows of [0, -1, 0.5, Number.NaN, "2", Symbol("x"), null])
      refused(() => quantizeI8(new Float32Array(8), rows as never), rows);
  });
});
