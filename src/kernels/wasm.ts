// The WebAssembly backend: two modules from one core (assembly/), with SIMD and without, their bytes inlined. Touches no file and nothing
// that only Node has. Data goes through a stage in the module's memory, one leaf of weights at a time.

import { alias } from "../laws/alias.js";
import { perturbColumns } from "../laws/columns.js";
import { difference } from "../laws/difference.js";
import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import { scaleInSteps } from "../laws/moves.js";
import {
  DECAY_COLUMNS,
  DECAY_HEAD,
  Field,
  FORMAT_FIELDS,
  HITS_MOST,
  Kind,
  Rounding,
  StepKind,
  SUM_LEAF,
} from "../laws/numbers.js";
import { SPARSE_VARIANCE } from "../laws/rare-groups.js";
import { classOf, shareOf, tileOf } from "../laws/rare-rows.js";
import { HITS, LAW_TAILS } from "../laws/tables.js";
import type { Kernels } from "./contract.js";
import { WASM as SCALAR } from "./generated/scalar.wasm.js";
import { WASM as SIMD } from "./generated/simd.wasm.js";

/** `perturb` or `relax` of what is on the stage. */
type MoveLeaf = (
  bytes: number,
  sigma: number,
  inSteps: number,
  rowLeft: number,
  rowLength: number,
  rounding: number,
  k0: number,
  k1: number,
  indexLo: number,
  indexHi: number,
  tick: number,
) => number;

interface Exports {
  readonly memory: WebAssembly.Memory;
  stage(): number;
  pristineStage(): number;
  decay(): number;
  steps(): number;
  format(): number;
  law(): number;
  alias(): number;
  hits(): number;
  taken(): number;
  forgetHits(): void;
  hitsOfTile(
    rareClass: number,
    tile: number,
    from: number,
    to: number,
    share: number,
    k0: number,
    k1: number,
    tick: number,
  ): number;
  noise(as: number, blocks: number, k0: number, k1: number, lo: number, hi: number, tick: number, purpose: number): void;
  readonly perturb: MoveLeaf;
  readonly relax: MoveLeaf;
  sumSquares(bytes: number, rowLeft: number, rowLength: number): number;
}

const AS_BITS = 0;
const AS_UNIFORM = 1;
const AS_NORMAL = 2;
const TWO_32 = 2 ** 32;

const MODULES: Readonly<Record<string, string>> = { simd128: SIMD, scalar: SCALAR };

/** The kernels of the module for this ISA ("simd128", the default, or "scalar"). Throws with the reason when it cannot run. */
export function loadWasm(isa = "simd128"): Kernels {
  const code = validCode(isa); // first: where there is no WebAssembly, it says so
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code));
  return new WasmKernels(instance.exports as unknown as Exports, isa);
}

/** Like {@link loadWasm}, compiled without holding up the event loop. */
export async function loadWasmAsync(isa = "simd128"): Promise<Kernels> {
  const code = validCode(isa);
  const { instance } = await WebAssembly.instantiate(code);
  return new WasmKernels(instance.exports as unknown as Exports, isa);
}

function validCode(isa: string): Uint8Array<ArrayBuffer> {
  const code = MODULES[isa];
  if (code === undefined)
    throw new Error(`there is no WebAssembly module for ${isa}, only for ${Object.keys(MODULES).join(", ")}`);
  if (typeof WebAssembly !== "object") throw new Error("this host has no WebAssembly");
  const bytes = Uint8Array.from(atob(code), (c) => c.charCodeAt(0));
  // The real module is what gets validated: it is refused where SIMD is missing.
  if (!WebAssembly.validate(bytes)) throw new Error(`this host's WebAssembly does not run ${isa} code`);
  return bytes;
}

class WasmKernels implements Kernels {
  readonly backend = "wasm";
  private readonly bytes: Uint8Array;
  private readonly pristineBytes: Uint8Array;
  private readonly decay: Float32Array;
  private readonly words: Uint32Array;
  private readonly floats: Float32Array;
  private readonly rowSteps: Float32Array;
  private readonly formatFields: Int32Array;
  /** Pairs of a place and a sign: what hitsOfTile takes. */
  private readonly taken: Int32Array;
  /** The call that saw a weight with these last bits last. */
  private readonly seen = new Uint32Array(4096);
  private calls = 0;
  private readonly before = new Int8Array(HITS_MOST);

  constructor(
    private readonly exports: Exports,
    readonly isa: string,
  ) {
    // The memory never grows, so views of it stay good.
    const { buffer } = exports.memory;
    this.bytes = new Uint8Array(buffer, exports.stage(), 4 * SUM_LEAF);
    this.pristineBytes = new Uint8Array(buffer, exports.pristineStage(), 2 * SUM_LEAF);
    this.decay = new Float32Array(buffer, exports.decay(), DECAY_HEAD + 16 * DECAY_COLUMNS);
    this.words = new Uint32Array(buffer, exports.stage(), SUM_LEAF);
    this.floats = new Float32Array(buffer, exports.stage(), SUM_LEAF);
    this.rowSteps = new Float32Array(buffer, exports.steps(), SUM_LEAF);
    this.formatFields = new Int32Array(buffer, exports.format(), FORMAT_FIELDS);
    this.taken = new Int32Array(buffer, exports.taken(), 2 * HITS_MOST);
    new Float32Array(buffer, exports.law(), LAW_TAILS.length).set(LAW_TAILS);
    new Uint32Array(buffer, exports.hits(), HITS.length).set(HITS);
    new Int8Array(buffer, exports.alias(), alias().length).set(alias());
  }

  bits(out: Uint32Array, key: Key, at: Position): void {
    this.eachBatch(AS_BITS, out.length, key, at, (skip, n, done) => out.set(this.words.subarray(skip, skip + n), done));
  }

  uniform(out: Float32Array, key: Key, at: Position): void {
    this.eachBatch(AS_UNIFORM, out.length, key, at, (skip, n, done) => out.set(this.floats.subarray(skip, skip + n), done));
  }

  normal(out: Float32Array, key: Key, at: Position): void {
    this.eachBatch(AS_NORMAL, out.length, key, at, (skip, n, done) => out.set(this.floats.subarray(skip, skip + n), done));
  }

  perturb(data: Uint8Array, move: Move): number {
    if (move.columns) return perturbColumns(data, move, this);
    return this.sparseRow(data, move) ?? this.moveLeaves(this.exports.perturb, data, move);
  }

  evolve(live: Uint8Array, pristine: Uint8Array, move: Move, law: Evolution, strength: number): number {
    const parameters = law.parameters(strength, move.format);
    const kernel = this.exports[law.name as keyof Exports] as MoveLeaf | undefined;
    if (move.columns || kernel === undefined) return law.step(live, pristine, move, parameters, this);
    this.decay.set(parameters);
    return this.moveLeaves(kernel, live, move, pristine);
  }

  private moveLeaves(moveLeaf: MoveLeaf, data: Uint8Array, move: Move, pristine?: Uint8Array): number {
    const { format, sigma, inSteps, steps, rounding, key, tick } = move;
    // The stage is one for both: half a leaf each.
    const leaf = pristine === undefined ? SUM_LEAF : SUM_LEAF / 2;
    let changed = 0;
    this.eachLeaf(leaf, data, format, steps, move.rowLength, move.index, (bytes, index, rowLeft, rowLength) => {
      const from = bytes.byteOffset - data.byteOffset;
      if (pristine !== undefined) this.pristineBytes.set(pristine.subarray(from, from + bytes.length));
      const leafChanged = moveLeaf(
        bytes.length,
        sigma,
        inSteps ? 1 : 0,
        rowLeft,
        rowLength,
        rounding,
        key.k0,
        key.k1,
        index >>> 0,
        Math.floor(index / TWO_32),
        tick,
      );
      if (leafChanged > 0) bytes.set(this.bytes.subarray(0, bytes.length));
      changed += leafChanged;
    });
    return changed;
  }

  /**
   * Moves codes that all have one step, where moves are so rare that most bytes need not be looked at: they are moved where they are, not on
   * the stage. Undefined where that does not fit.
   */
  private sparseRow(data: Uint8Array, move: Move): number | undefined {
    const { format, steps, rounding, key, tick, index } = move;
    if (steps === null || rounding !== Rounding.matched || format[Field.weights] !== 1) return undefined;
    const row = Math.floor(index / move.rowLength);
    if (index + data.length > (row + 1) * move.rowLength) return undefined;
    const step = steps[row] as number;
    const s = step > 0 ? scaleInSteps(move.sigma, move.inSteps, step) : 0;
    const v = Math.fround(s * s);
    if (v >= SPARSE_VARIANCE) return undefined;
    if (v === 0) return 0;
    const rareClass = classOf(v);
    const share = shareOf(v, rareClass);
    const size = tileOf(rareClass);
    const end = index + data.length;
    this.exports.forgetHits();
    let changed = 0;
    for (let tile = Math.floor(index / size); tile * size < end; tile++) {
      const from = Math.max(index, tile * size);
      const to = Math.min(end, (tile + 1) * size);
      const hits = this.exports.hitsOfTile(rareClass, tile, from, to, share, key.k0, key.k1, tick);
      changed += this.takeHits(data, from - index, hits, format[Field.lo] as number, format[Field.hi] as number);
    }
    return changed;
  }

  /** Puts hits on bare codes; a weight that is hit twice counts once, or not at all where it is back. */
  private takeHits(data: Uint8Array, from: number, hits: number, lo: number, hi: number): number {
    const { taken, seen, before } = this;
    this.calls = (this.calls + 1) >>> 0;
    let changed = 0;
    for (let j = 0; j < hits; j++) {
      const place = taken[2 * j] as number;
      const i = from + (place >>> 0);
      const q = ((data[i] as number) << 24) >> 24;
      before[j] = q;
      if (q <= lo || q >= hi) continue;
      const to = q + (taken[2 * j + 1] as number);
      data[i] = to;
      let first = q;
      if (seen[place & 4095] === this.calls) {
        let e = 0;
        while (taken[2 * e] !== place) e++;
        first = before[e] as number;
      }
      seen[place & 4095] = this.calls;
      changed += (to !== first ? 1 : 0) - (q !== first ? 1 : 0);
    }
    return changed;
  }

  sumSquares(
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    index: number,
    total: number,
  ): number {
    let sum = total;
    this.eachLeaf(SUM_LEAF, data, format, steps, rowLength, index, (bytes, _, rowLeft, length) => {
      sum += this.exports.sumSquares(bytes.length, rowLeft, length);
    });
    return sum;
  }

  readonly difference = difference;

  /** Makes noise batch by batch on the stage: `use(skip, n, done)` takes n elements from element `skip` of the stage on. */
  private eachBatch(
    as: number,
    total: number,
    key: Key,
    at: Position,
    use: (skip: number, n: number, done: number) => void,
  ): void {
    const batch = SUM_LEAF / 4;
    let { blockLo, blockHi, skip } = at;
    for (let done = 0; done < total; ) {
      const n = Math.min(total - done, SUM_LEAF - skip);
      this.exports.noise(as, Math.ceil((skip + n) / 4), key.k0, key.k1, blockLo, blockHi, at.tick, at.purpose);
      use(skip, n, done);
      done += n;
      skip = 0;
      blockLo = (blockLo + batch) >>> 0;
      if (blockLo < batch) blockHi = (blockHi + 1) >>> 0;
    }
  }

  /**
   * Puts `data` on the stage, `leaf` weights (at most SUM_LEAF) at a time, with the steps of the rows that each touches:
   * `use(bytes, index, rowLeft, rowLength)`, where the leaf's first row has `rowLeft` weights left.
   */
  private eachLeaf(
    leaf: number,
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    start: number,
    use: (bytes: Uint8Array, index: number, rowLeft: number, rowLength: number) => void,
  ): void {
    this.formatFields.set(format);
    const weights = format[Field.weights] as number;
    const blockBytes = format[Field.bytes] as number;
    const external = format[Field.kind] === Kind.lattice && format[Field.step] === StepKind.external;
    const leafBytes = (leaf / weights) * blockBytes;
    const end = data.length - (data.length % blockBytes);
    for (let from = 0; from < end; from += leafBytes) {
      const bytes = data.subarray(from, Math.min(end, from + leafBytes));
      const count = (bytes.length / blockBytes) * weights;
      const index = start + (from / blockBytes) * weights;
      this.bytes.set(bytes);
      let rowLeft = count;
      if (external) {
        const row = Math.floor(index / rowLength);
        rowLeft = Math.min((row + 1) * rowLength - index, SUM_LEAF + 1);
        const lastRow = Math.floor((index + count - 1) / rowLength);
        this.rowSteps.set((steps as Float32Array).subarray(row, lastRow + 1));
      }
      use(bytes, index, rowLeft, Math.min(rowLength, SUM_LEAF + 1));
    }
  }
}
