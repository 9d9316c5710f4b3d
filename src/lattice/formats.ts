// The table of formats: how each weight type lies in memory, on which grid its codes live, and where the grid ends.
//
// To add a format, add one line to FORMATS. A format is a sequence of blocks; a block holds `weights` codes and what makes the
// step of each group of them. A code is put together from one or two *planes* of bit fields (Q5_0, say, keeps the fifth bits
// apart). Kernels read the numbers given here and know no format by name, so one whose kind of step is in StepKind needs no
// code. A new kind of step is a number there and one case in each reader of steps (readGroup in src/laws/codes.ts, readStep in
// assembly/codes.ts, its like in native/kernels/); a new table of values is a number in Levels and its values in
// src/laws/levels.ts and its two counterparts. A type number that ggml does not have yet is also a line of
// src/files/containers/ggml-types.ts, where files are read.

import { BrownianError } from "../errors.js";
import type { EncodedFormat } from "../laws/move.js";
import { FORMAT_FIELDS, Kind, Levels, StepKind } from "../laws/numbers.js";

/**
 * A bit field of every code of a block. For code e, with segment g = floor(e / group) and r = e mod run, the field lies in byte
 * `offset + g * stride + r`, at bit `bits * (floor((e mod group) / run))`; it makes bits `shift` and up of the code.
 */
export interface Plane {
  /** First byte of the plane in its block. */
  readonly offset: number;
  /** Width of the field, 1 to 8 bits. */
  readonly bits: number;
  /** Which bit of the code its lowest bit is, 0 to 7. */
  readonly shift: number;
  /** Codes a segment. */
  readonly group: number;
  /** Bytes from one segment to the next. */
  readonly stride: number;
  /** Codes that lie in bytes one after the other, at the same bits of each. */
  readonly run: number;
}

/** A type of weights. */
export interface Format {
  /** As ggml calls it: "Q8_0", say; those that ggml has not, as safetensors does. */
  readonly name: string;
  /** The number of the type in ggml (`enum ggml_type`), as GGUF files carry it; null where it has none. */
  readonly ggml: number | null;
  /** "lattice" (codes on a grid with a step), or the kind of float. */
  readonly kind: keyof typeof Kind;
  /** Weights a block, at least 1. */
  readonly weights: number;
  /** Bytes a block, at least 1. */
  readonly bytes: number;
  /** Where codes and steps lie in a block; of formats of the kind "lattice" only. */
  readonly lattice?: Lattice;
}

/** How the weights of a block are codes on a grid: w = step * level(code - bias), plus an origin where the step's kind has one. */
export interface Lattice {
  /** Subtracted from a stored code. */
  readonly bias: number;
  /**
   * What codes stand for in units of the step: themselves ("uniform"), or entries of a table, walked in the order of their
   * values.
   */
  readonly levels: keyof typeof Levels;
  /** Lower rail: the smallest code after the bias (of tables, the first level). */
  readonly lo: number;
  /** Upper rail: the largest code after the bias (of tables, the last level). */
  readonly hi: number;
  /** Weights that share a step. */
  readonly group: number;
  /** How a block stores its steps: one float16, scales of scales, or none at all ("external": the caller has it). */
  readonly step: keyof typeof StepKind;
  /** Byte in the block where the step, or the one that the scales are multiplied with, begins. */
  readonly stepOffset: number;
  /** Byte in the block where the scales of its groups begin; 0 where it has none. */
  readonly scalesOffset: number;
  /** The bit fields that a code is put together from, one or two. */
  readonly planes: readonly Plane[];
}

const plane = (offset: number, bits: number, shift: number, group: number, stride: number, run: number): Plane => ({
  offset,
  bits,
  shift,
  group,
  stride,
  run,
});
/** One code a byte. */
const bytes = (offset: number, weights: number): Plane[] => [plane(offset, 8, 0, weights, 0, weights)];
/** Two codes a byte: of each `group` codes the first half in the low nibbles, the second half in the high ones. */
const nibbles = (offset: number, group: number): Plane => plane(offset, 4, 0, group, group / 2, group / 2);
/** Four codes a byte, 128 of them in 32 bytes. */
const pairs = (offset: number, shift: number): Plane => plane(offset, 2, shift, 128, 32, 32);
/** One bit of every code: bit e of a little-endian word for code e. */
const word = (offset: number, shift: number): Plane => plane(offset, 1, shift, 8, 1, 1);
/** One bit of every code: of 256 codes in 32 bytes, 32 in each bit. */
const bits = (offset: number, shift: number): Plane => plane(offset, 1, shift, 256, 32, 32);

/** A grid of whole numbers; `at` are stepOffset and scalesOffset. */
function grid(
  bias: number,
  lo: number,
  hi: number,
  group: number,
  step: keyof typeof StepKind,
  at: [number, number?],
  planes: Plane[],
): Lattice {
  return { bias, levels: "uniform", lo, hi, group, step, stepOffset: at[0], scalesOffset: at[1] ?? 0, planes };
}

/** Codes that stand for the entries of a table. */
function table(
  levels: "iq4nl" | "e2m1",
  group: number,
  step: keyof typeof StepKind,
  at: [number, number?],
  planes: Plane[],
): Lattice {
  return {
    bias: 0,
    levels,
    lo: 0,
    hi: levels === "e2m1" ? 14 : 15,
    group,
    step,
    stepOffset: at[0],
    scalesOffset: at[1] ?? 0,
    planes,
  };
}

const f = (name: string, ggml: number | null, kind: Exclude<keyof typeof Kind, "lattice">, size: number): Format => ({
  name,
  ggml,
  kind,
  weights: 1,
  bytes: size,
});
const q = (name: string, ggml: number, weights: number, size: number, lattice: Lattice): Format => ({
  name,
  ggml,
  kind: "lattice",
  weights,
  bytes: size,
  lattice,
});

/**
 * All types of weights that can be moved, with their layout in memory.
 *
 * Layouts are those of ggml's block structures (ggml-common.h), checked against ggml's own results in the tests. Rails lie at
 * the ends of the bit fields, but the 8-bit formats end at -127: no quantizer writes -128, and engines' sign tricks break on
 * it.
 *
 * @example
 * const { weights, bytes } = FORMATS.find(({ name }) => name === "Q4_K")!; // 256 weights in 144 bytes
 */
// biome-ignore format: one line a format
export const FORMATS: readonly Format[] = [
  f("F32", 0, "f32", 4),
  f("F16", 1, "f16", 2),
  f("BF16", 30, "bf16", 2),
  f("F8_E4M3", null, "e4m3", 1),
  f("F8_E5M2", null, "e5m2", 1),
  q("I8", 24, 1, 1, grid(0, -127, 127, 1, "external", [0], bytes(0, 1))),
  q("Q8_0", 8, 32, 34, grid(0, -127, 127, 32, "f16", [0], bytes(2, 32))),
  q("Q4_0", 2, 32, 18, grid(8, -8, 7, 32, "f16", [0], [nibbles(2, 32)])),
  q("Q4_1", 3, 32, 20, grid(0, 0, 15, 32, "f16Origin", [0], [nibbles(4, 32)])),
  q("Q5_0", 6, 32, 22, grid(16, -16, 15, 32, "f16", [0], [nibbles(6, 32), word(2, 4)])),
  q("Q5_1", 7, 32, 24, grid(0, 0, 31, 32, "f16Origin", [0], [nibbles(8, 32), word(4, 4)])),
  q("Q2_K", 10, 256, 84, grid(0, 0, 3, 16, "k2", [80, 0], [pairs(16, 0)])),
  q("Q3_K", 11, 256, 110, grid(4, -4, 3, 16, "k3", [108, 96], [pairs(32, 0), bits(0, 2)])),
  q("Q4_K", 12, 256, 144, grid(0, 0, 15, 32, "k4", [0, 4], [nibbles(16, 64)])),
  q("Q5_K", 13, 256, 176, grid(0, 0, 31, 32, "k4", [0, 4], [nibbles(48, 64), bits(16, 4)])),
  q("Q6_K", 14, 256, 210, grid(32, -32, 31, 16, "k6", [208, 192], [nibbles(0, 128), pairs(128, 4)])),
  q("TQ2_0", 35, 256, 66, grid(1, -1, 1, 256, "f16", [64], [pairs(0, 0)])),
  q("IQ4_NL", 20, 32, 18, table("iq4nl", 32, "f16", [0], [nibbles(2, 32)])),
  q("IQ4_XS", 23, 256, 136, table("iq4nl", 32, "iq4", [0, 4], [nibbles(8, 32)])),
  q("MXFP4", 39, 32, 17, table("e2m1", 32, "e8m0", [0], [nibbles(1, 32)])),
  q("NVFP4", 40, 64, 36, table("e2m1", 16, "ue4m3", [0], [nibbles(4, 16)])),
];

const byName = new Map(FORMATS.map((format) => [format.name, format]));
const encoded = new Map(FORMATS.map((format) => [format, encode(format)]));

/** The format called `name`, or undefined when brownian cannot move that type. */
export function formatNamed(name: string): Format | undefined {
  return byName.get(name);
}

/** A format by itself, or by its name. @throws BrownianError unsupported-type with the names that there are */
export function formatOrNamed(format: Format | string): Format {
  const found = typeof format === "string" ? byName.get(format) : format;
  // Kernels read past the ends of what they are given where a format says so: only those of the table are formats.
  if (encoded.has(found as Format)) return found as Format;
  const names = FORMATS.map(({ name }) => name).join(", ");
  const what = typeof format === "string" ? `type ${format}` : "that";
  throw new BrownianError("unsupported-type", `${what} is no format: give one of FORMATS or its name (${names}).`);
}

/** A format of {@link FORMATS} as kernels get it. */
export function encodedFormat(format: Format): EncodedFormat {
  return encoded.get(format) as EncodedFormat;
}

function encode(format: Format): EncodedFormat {
  const fields: number[] = [Kind[format.kind], format.weights, format.bytes];
  const l = format.lattice;
  if (l !== undefined) {
    fields.push(l.bias, Levels[l.levels], l.lo, l.hi, l.group, StepKind[l.step], l.stepOffset, l.scalesOffset, l.planes.length);
    for (const p of l.planes) fields.push(p.offset, p.bits, p.shift, p.group, p.stride, p.run);
  }
  if (fields.length > FORMAT_FIELDS) throw new RangeError(`Format ${format.name} has more planes than kernels have room for.`);
  const row = new Int32Array(FORMAT_FIELDS);
  row.set(fields);
  return row;
}
