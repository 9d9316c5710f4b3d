// The table of formats: how each weight type lies in memory, on which grid its codes live, and where the grid ends.
//
// To add a format, add one entry. A format is a sequence of blocks; a block holds `weights` codes and the scale(s) of their grid.
// A code is put together from up to two *planes* of bit fields (most formats have one; Q5_0, say, keeps the fifth bits apart).
// Kernels walk planes by the numbers given here, so an entry with a known `step` kind needs no code in any backend.

import { type EncodedFormat, FORMAT_FIELDS, Kind, StepKind } from "../kernels/contract.js";

/**
 * A bit field of every code of a block. For code e, with segment g = floor(e / group) and r = e mod run, the field lies in byte
 * `offset + g * stride + r`, at bit `bits * (floor((e mod group) / run))`; it makes bits `shift` and up of the code.
 */
export interface Plane {
  readonly offset: number;
  readonly bits: number;
  readonly shift: number;
  readonly group: number;
  readonly stride: number;
  readonly run: number;
}

export interface Format {
  readonly name: string;
  /** The number of the type in ggml (`enum ggml_type`), as GGUF files carry it. */
  readonly ggml: number;
  readonly kind: keyof typeof Kind;
  /** Weights and bytes a block. */
  readonly weights: number;
  readonly bytes: number;
  /** Lattice formats only. */
  readonly lattice?: {
    /** Subtracted from a stored unsigned code; signed codes (`bias: 0, signed: true`) are taken as they are. */
    readonly bias: number;
    readonly signed: boolean;
    /** Rails: smallest and largest code after the bias. */
    readonly lo: number;
    readonly hi: number;
    /** Weights that share a step. */
    readonly group: number;
    readonly step: keyof typeof StepKind;
    /** Byte of the step in the block. */
    readonly stepOffset: number;
    readonly planes: readonly Plane[];
  };
}

const byteCodes = (offset: number, weights: number): Plane[] => [
  { offset, bits: 8, shift: 0, group: weights, stride: 0, run: weights },
];
/** Two codes a byte: the first half of the codes in the low nibbles, the second half in the high ones. */
const nibbles = (offset: number, weights: number): Plane[] => [
  { offset, bits: 4, shift: 0, group: weights, stride: 0, run: weights / 2 },
];

export const FORMATS: readonly Format[] = [
  { name: "F32", ggml: 0, kind: "f32", weights: 1, bytes: 4 },
  { name: "F16", ggml: 1, kind: "f16", weights: 1, bytes: 2 },
  { name: "BF16", ggml: 30, kind: "bf16", weights: 1, bytes: 2 },
  // Rails of the 8-bit formats end at -127: no quantizer writes -128, and engines' sign tricks break on it.
  {
    name: "I8",
    ggml: 24,
    kind: "lattice",
    weights: 1,
    bytes: 1,
    lattice: { bias: 0, signed: true, lo: -127, hi: 127, group: 1, step: "external", stepOffset: 0, planes: byteCodes(0, 1) },
  },
  {
    name: "Q8_0",
    ggml: 8,
    kind: "lattice",
    weights: 32,
    bytes: 34,
    lattice: { bias: 0, signed: true, lo: -127, hi: 127, group: 32, step: "f16", stepOffset: 0, planes: byteCodes(2, 32) },
  },
  {
    name: "Q4_0",
    ggml: 2,
    kind: "lattice",
    weights: 32,
    bytes: 18,
    lattice: { bias: 8, signed: false, lo: -8, hi: 7, group: 32, step: "f16", stepOffset: 0, planes: nibbles(2, 32) },
  },
];

const byName = new Map(FORMATS.map((format) => [format.name, format]));
const encoded = new Map(FORMATS.map((format) => [format, encode(format)]));

/** The format called `name`, or undefined when brownian cannot move that type. */
export function formatNamed(name: string): Format | undefined {
  return byName.get(name);
}

/** A format of {@link FORMATS} as kernels get it. */
export function encodedFormat(format: Format): EncodedFormat {
  return encoded.get(format) as EncodedFormat;
}

function encode(format: Format): EncodedFormat {
  const fields: number[] = [Kind[format.kind], format.weights, format.bytes];
  const l = format.lattice;
  if (l !== undefined) {
    fields.push(l.bias, l.signed ? 1 : 0, l.lo, l.hi, l.group, StepKind[l.step], l.stepOffset, l.planes.length);
    for (const p of l.planes) fields.push(p.offset, p.bits, p.shift, p.group, p.stride, p.run);
  }
  if (fields.length > FORMAT_FIELDS) throw new RangeError(`Format ${format.name} has more planes than kernels have room for.`);
  const row = new Int32Array(FORMAT_FIELDS);
  row.set(fields);
  return row;
}
