// The backend that runs anywhere: plain JavaScript. It is also the specification: native and WASM must give its bits.

import { type Group, halfToFloat, unpack } from "../laws/codes.js";
import { perturbColumns } from "../laws/columns.js";
import { difference } from "../laws/difference.js";
import { moveFloats, moveHalves } from "../laws/floats.js";
import { beginLattice, eachGroup, eachRow, moveLattice } from "../laws/lattice.js";
import { levelOfCode, levelsOf } from "../laws/levels.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import { Draws, TILE } from "../laws/moves.js";
import { normalsFromWords } from "../laws/normal.js";
import { Field, Kind, Levels, StepKind, SUM_LEAF } from "../laws/numbers.js";
import { eachWord } from "../laws/philox.js";
import type { Kernels } from "./contract.js";

const TWO_M24 = 2 ** -24;

const draws = new Draws();
const codes = new Int8Array(TILE);
const group: Group = { step: 0, origin: 0 };
const floatTile = new Float32Array(TILE);
const floatBytes = new Uint8Array(floatTile.buffer);
const halfTile = new Uint16Array(floatTile.buffer);
const normals = new Float32Array(4096);

export const jsKernels: Kernels = {
  backend: "js",
  isa: "scalar",
  bits,
  uniform,
  normal,
  perturb: (data, move) => (move.columns ? perturbColumns(data, move, { bits, normal }) : perturb(data, move)),
  evolve: (live, pristine, move, law, strength) =>
    law.step(live, pristine, move, law.parameters(strength, move.format), { bits, normal }),
  sumSquares,
  difference,
};

function bits(out: Uint32Array, key: Key, at: Position): void {
  eachWord(out.length, key, at, (words, skip, n, done) => out.set(words.subarray(skip, skip + n), done));
}

function uniform(out: Float32Array, key: Key, at: Position): void {
  eachWord(out.length, key, at, (words, skip, n, done) => {
    for (let i = 0; i < n; i++) out[done + i] = ((words[skip + i] as number) >>> 8) * TWO_M24;
  });
}

function normal(out: Float32Array, key: Key, at: Position): void {
  eachWord(out.length, key, at, (words, skip, n, done) => {
    if (skip % 2 === 0 && n % 2 === 0) return normalsFromWords(out, done, words, skip, n);
    const first = skip & ~1;
    const pairs = (skip + n + 1) & ~1;
    normalsFromWords(normals, 0, words, first, pairs - first);
    out.set(normals.subarray(skip - first, skip - first + n), done);
  });
}

function perturb(data: Uint8Array, move: Move): number {
  const format = move.format;
  const kind = format[Field.kind] as number;
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const blocksPerTile = TILE / weights;
  const blocks = Math.floor(data.length / bytes);
  let changed = 0;
  if (move.sigma === 0) return 0;
  beginLattice(move);
  for (let block = 0; block < blocks; block += blocksPerTile) {
    const count = Math.min(blocksPerTile, blocks - block);
    const n = count * weights;
    const index = move.index + block * weights;
    const from = block * bytes;
    draws.begin(move.key, move.tick, index, n);
    if (kind === Kind.lattice) {
      changed += moveLattice(data, from, count, move, index, n, draws);
    } else {
      floatBytes.set(data.subarray(from, from + n * bytes));
      const movedHere =
        kind === Kind.f32
          ? moveFloats(floatTile, n, move.sigma, move.inSteps, draws)
          : moveHalves(halfTile, n, kind, move, draws);
      if (movedHere > 0) data.set(floatBytes.subarray(0, n * bytes), from);
      changed += movedHere;
    }
  }
  return changed;
}

const lanes = new Float64Array(16);

function sumSquares(
  data: Uint8Array,
  format: EncodedFormat,
  steps: Float32Array | null,
  rowLength: number,
  index: number,
  total: number,
): number {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const count = Math.floor(data.length / bytes) * weights;
  let sum = total;
  for (let leaf = 0; leaf < count; leaf += SUM_LEAF) {
    const n = Math.min(SUM_LEAF, count - leaf);
    const from = (leaf / weights) * bytes;
    sum +=
      format[Field.kind] === Kind.lattice
        ? latticeLeaf(data, from, n, format, steps, rowLength, index + leaf)
        : floatLeaf(data, from, n, format[Field.kind] as number, bytes);
  }
  return sum;
}

function latticeLeaf(
  data: Uint8Array,
  from: number,
  n: number,
  format: EncodedFormat,
  steps: Float32Array | null,
  rowLength: number,
  index: number,
): number {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const levels = format[Field.levels] as number;
  const values = levels === Levels.uniform ? null : levelsOf(levels);
  let sum = 0;
  for (let tile = 0; tile < n; tile += TILE) {
    const count = Math.min(TILE, n - tile);
    const at = from + (tile / weights) * bytes;
    unpack(codes, data, at, count / weights, format);
    const add = (start: number, end: number, step: number, origin: number) => {
      let squares = 0;
      let plain = 0;
      for (let i = start; i < end; i++) {
        const code = codes[i] as number;
        const q = values === null ? code : (values[levelOfCode(levels, code)] as number);
        squares += q * q;
        plain += q;
      }
      sum += squares * (step * step) + plain * (2 * step * origin) + (end - start) * (origin * origin);
    };
    if (format[Field.step] === StepKind.external) {
      eachRow(steps as Float32Array, rowLength, index + tile, count, (start, end, step) => add(start, end, step, 0));
    } else {
      eachGroup(data, at, count / weights, format, group, (start, end) => add(start, end, group.step, group.origin));
    }
  }
  return sum;
}

function floatLeaf(data: Uint8Array, from: number, n: number, kind: number, bytes: number): number {
  lanes.fill(0);
  for (let tile = 0; tile < n; tile += TILE) {
    const count = Math.min(TILE, n - tile);
    floatBytes.set(data.subarray(from + tile * bytes, from + (tile + count) * bytes));
    if (kind === Kind.bf16) for (let i = count - 1; i >= 0; i--) bfloatToTile(i);
    for (let i = 0; i < count; i++) {
      const w = kind === Kind.f16 ? halfToFloat(halfTile[i] as number) : (floatTile[i] as number);
      lanes[i & 15] = (lanes[i & 15] as number) + w * w;
    }
  }
  for (let apart = 8; apart > 0; apart >>= 1) {
    for (let i = 0; i < apart; i++) lanes[i] = (lanes[i] as number) + (lanes[i + apart] as number);
  }
  return lanes[0] as number;
}

const tileBits = new Uint32Array(floatTile.buffer);

/** Widens bfloat16 number i of the tile in place (from the last to the first: it overwrites later ones). */
function bfloatToTile(i: number): void {
  tileBits[i] = (halfTile[i] as number) << 16;
}
