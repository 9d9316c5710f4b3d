// The backend that runs anywhere: plain JavaScript. It is also the specification: native and WASM must give its bits.

import {
  type EncodedFormat,
  Field,
  type Kernels,
  type Key,
  Kind,
  Levels,
  type Move,
  type Position,
  Rounding,
  StepKind,
  SUM_LEAF,
} from "../contract.js";
import { type Group, halfToFloat, pack, readGroup, stepSize, unpack } from "./codes.js";
import { perturbColumns, relaxColumns } from "./columns.js";
import { difference } from "./difference.js";
import { moveFloats, moveHalves } from "./floats.js";
import { relax } from "./langevin.js";
import { levelOfCode, levelsOf, moveLevels } from "./levels.js";
import { Draws, moveRun, scaleInSteps, TILE } from "./moves.js";
import { normalsFromWords } from "./normal.js";
import { eachWord } from "./philox.js";
import { Hits, levelOf, Moved, readCode, SPARSE_VARIANCE, shareOf, writeCode } from "./sparse.js";

const TWO_M24 = 2 ** -24;

const f = Math.fround;
const draws = new Draws();
const hits = new Hits();
const moved = new Moved();
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
  relax: (live, pristine, move, keep) =>
    move.columns ? relaxColumns(live, pristine, move, keep, { bits, normal }) : relax(live, pristine, move, keep),
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
  hits.begin(move.key, move.tick);
  for (let block = 0; block < blocks; block += blocksPerTile) {
    const count = Math.min(blocksPerTile, blocks - block);
    const n = count * weights;
    const index = move.index + block * weights;
    const from = block * bytes;
    draws.begin(move.key, move.tick, index, n);
    if (kind === Kind.lattice) {
      changed +=
        format[Field.levels] === Levels.uniform
          ? moveLattice(data, from, count, move, index, n)
          : moveTable(data, from, count, move);
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

/** The runs of a tile's weights that have one step: where each ends, and its noise in steps. */
const runEnds = new Int32Array(TILE);
const runScales = new Float32Array(TILE);
const runLevels = new Int8Array(TILE);
const runShares = new Float64Array(TILE);
const DENSE = -1;
const STILL = -2;

function moveLattice(data: Uint8Array, from: number, blocks: number, move: Move, index: number, n: number): number {
  const { format, sigma, inSteps, rounding } = move;
  let runs = 0;
  let levels = 0n; // a set, bit by bit
  let dense = false;
  const add = (end: number, step: number) => {
    const s = step > 0 ? scaleInSteps(sigma, inSteps, step) : 0;
    const v = f(s * s);
    let level = s > 0 ? DENSE : STILL;
    if (rounding === Rounding.matched && v < SPARSE_VARIANCE) {
      level = levelOf(v);
      runShares[runs] = shareOf(v, level);
      levels |= 1n << BigInt(level);
    }
    dense ||= level === DENSE;
    runEnds[runs] = end;
    runScales[runs] = s;
    runLevels[runs++] = level;
  };
  if (format[Field.step] === StepKind.external) {
    eachRow(move.steps as Float32Array, move.rowLength, index, n, (_, end, step) => add(end, step));
  } else {
    eachGroup(data, from, blocks, format, (_, end) => add(end, stepSize(group.step)));
  }
  let changed = dense ? moveDense(data, from, blocks, move, runs) : 0;
  for (let level = 0; levels >> BigInt(level) !== 0n; level++) {
    if ((levels >> BigInt(level)) & 1n) changed += moveSparse(data, from, move, index, n, runs, level);
  }
  return changed;
}

function moveDense(data: Uint8Array, from: number, blocks: number, move: Move, runs: number): number {
  const { format, rounding } = move;
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  let changed = 0;
  unpack(codes, data, from, blocks, format);
  for (let run = 0, start = 0; run < runs; run++) {
    const end = runEnds[run] as number;
    if (runLevels[run] === DENSE) changed += moveRun(codes, start, end, runScales[run] as number, lo, hi, rounding, draws);
    start = end;
  }
  if (changed > 0) pack(codes, data, from, blocks, format);
  return changed;
}

function moveSparse(data: Uint8Array, from: number, move: Move, index: number, n: number, runs: number, level: number): number {
  const { format } = move;
  const lo = format[Field.lo] as number;
  const hi = format[Field.hi] as number;
  const even = format[Field.step] === StepKind.external ? 0 : (format[Field.group] as number);
  moved.clear();
  hits.each(level, index, index + n, (weight, take, sign) => {
    const i = weight - index;
    const run = even > 0 ? Math.floor(i / even) : runAt(i, runs);
    if (runLevels[run] !== level || take >= (runShares[run] as number)) return;
    const q = readCode(data, from, i, format);
    if (q <= lo || q >= hi) return;
    writeCode(data, from, i, format, q + sign);
    moved.note(i, q, q + sign);
  });
  return moved.changed;
}

/** The first run that ends behind weight i. */
function runAt(i: number, runs: number): number {
  let low = 0;
  for (let high = runs - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if ((runEnds[middle] as number) > i) high = middle;
    else low = middle + 1;
  }
  return low;
}

function moveTable(data: Uint8Array, from: number, blocks: number, move: Move): number {
  const { format } = move;
  let changed = 0;
  unpack(codes, data, from, blocks, format);
  eachGroup(data, from, blocks, format, (start, end) => {
    changed += moveLevels(codes, start, end, stepSize(group.step), format[Field.levels] as number, move, draws);
  });
  if (changed > 0) pack(codes, data, from, blocks, format);
  return changed;
}

/** Reads each group of `blocks` blocks at data[from] into `group`, and calls `use` with the weights that it covers. */
function eachGroup(
  data: Uint8Array,
  from: number,
  blocks: number,
  format: EncodedFormat,
  use: (start: number, end: number) => void,
): void {
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const length = format[Field.group] as number;
  for (let block = 0; block < blocks; block++) {
    for (let g = 0; g * length < weights; g++) {
      readGroup(group, data, from + block * bytes, g, format);
      use(block * weights + g * length, block * weights + (g + 1) * length);
    }
  }
}

/** Splits weights [0, n), of which the first is weight `index` of the tensor, where rows (and so steps) change. */
function eachRow(
  steps: Float32Array,
  rowLength: number,
  index: number,
  n: number,
  use: (start: number, end: number, step: number) => void,
): void {
  for (let start = 0; start < n; ) {
    const row = Math.floor((index + start) / rowLength);
    const end = Math.min(n, (row + 1) * rowLength - index);
    use(start, end, steps[row] as number);
    start = end;
  }
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
      eachGroup(data, at, count / weights, format, (start, end) => add(start, end, group.step, group.origin));
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
