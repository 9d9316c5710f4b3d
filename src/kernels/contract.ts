// What a backend is: the calls that native, WASM and JS each answer with the same bits. The facade (noise/, lattice/) checks arguments;
// a kernel may rely on them. Nothing here knows about files, tensors' names or what sigma is relative to.

/** Which draw of a weight a Philox block serves: the fourth word of the counter. The numbers are frozen; the backends repeat them. */
export const Purpose = {
  /** `Stream.bits` and `Stream.uniform`: one word an element. */
  Bits: 0,
  /** Box-Muller normals: one word an element. */
  Normal: 1,
  /** Moves under the `matched` law of weights with a variance each: 16 bits an element, eight elements a block. */
  Move: 2,
  /** Decides moves that 16 bits left open: one word an element. */
  Refine: 3,
  /** The uniform of stochastic rounding: one word an element. */
  Rounding: 4,
  /** Rare moves of rows, plus 256 times their class: two hits a block (kernels/js/rare-rows.ts). */
  Hit: 5,
  /** Which cells collide: one word a cell. */
  Collision: 6,
  /** The uniform that rounds the pull of `relax`: one word an element. */
  Pull: 7,
  /** What large moves under the `matched` law have between the points of a coarser grid: a byte an element, sixteen elements a block. */
  Fine: 8,
  /** Moves of runs under the `matched` law: a byte an element, sixteen elements a block (kernels/alias.ts). */
  Draw: 9,
  /** Lower bits that eight weights of 2048 share: 256 bytes for every 2048 elements. */
  Shared: 10,
  /** Which row of the law's table a piece of 32 elements has: one word each. */
  Row: 11,
  /** Which pieces of 16 or 32 elements may have rare moves: a byte each (kernels/js/rare-groups.ts). */
  Rare: 12,
  /** The rare moves of a piece: a block each. */
  RareHits: 13,
  /**
   * Moves of F16 and BF16 under the `matched` law: 16 bits an element, eight elements a block. Twice six for what they have between the points
   * of a coarser grid, and four that round them where they end on a coarser one (Rounding has more where those do not decide).
   */
  Half: 14,
  /** Moves whose sigma goes by column (kernels/js/columns.ts): one word an element. */
  Column: 16,
} as const;

/** How a move is put on the grid of codes; the numbers are what kernels are handed. */
export const Rounding = { nearest: 0, stochastic: 1, matched: 2 } as const;
export type Rounding = keyof typeof Rounding;

/** A stream's Philox key: two 32-bit words. */
export interface Key {
  readonly k0: number;
  readonly k1: number;
}

/**
 * Where in a stream to begin. Element `4 * block + skip` of tick `tick` comes first; `block` is a 64-bit number in two words.
 * All are unsigned 32-bit, `skip` is 0...3.
 */
export interface Position {
  readonly blockLo: number;
  readonly blockHi: number;
  readonly skip: number;
  readonly tick: number;
  readonly purpose: number;
}

/** One perturbation of a run of weights of one tensor. */
export interface Move {
  readonly format: EncodedFormat;
  /** Standard deviation, a float32: in weight units, or in steps of each weight's own grid where `inSteps` is set. */
  readonly sigma: number;
  readonly inSteps: boolean;
  /** Only for formats without a scale of their own: the step of each row, a positive float32. */
  readonly steps: Float32Array | null;
  /** Weights a row, where `steps` is given. */
  readonly rowLength: number;
  readonly rounding: (typeof Rounding)[Rounding];
  readonly key: Key;
  /** The tensor-wide index of the first weight in the data; a multiple of the format's block. */
  readonly index: number;
  readonly tick: number;
  /** Where sigma goes by column; rounding is `matched` then. Not together with `steps`. */
  readonly columns?: Columns | undefined;
}

/** Factors of sigma by column: weight i of the tensor has `factors[m * width + i mod width]`, where m = floor(i / matrix). */
export interface Columns {
  /** At least 0, finite; `width` of them for each matrix of the tensor. */
  readonly factors: Float32Array;
  /** Weights a row: a multiple of the format's block. */
  readonly width: number;
  /** Weights a matrix (of one expert, where there are several): a multiple of `width`. */
  readonly matrix: number;
}

/**
 * A format as kernels get it: FORMAT_FIELDS int32, in the order of {@link Field}; fields of planes repeat with a stride of PLANE_FIELDS.
 * Made from the table in lattice/formats.ts, which explains them.
 */
export type EncodedFormat = Int32Array;

export const Field = {
  kind: 0,
  weights: 1,
  bytes: 2,
  bias: 3,
  levels: 4,
  lo: 5,
  hi: 6,
  group: 7,
  step: 8,
  stepOffset: 9,
  scalesOffset: 10,
  planes: 11,
  planeOffset: 12,
  planeBits: 13,
  planeShift: 14,
  planeGroup: 15,
  planeStride: 16,
  planeRun: 17,
} as const;
export const PLANE_FIELDS = 6;
export const FORMAT_FIELDS = 24;

/** What a stored code is. */
export const Kind = { lattice: 0, f32: 1, f16: 2, bf16: 3 } as const;

/** The values of codes in units of the step: the whole numbers, or one of two tables (kernels/js/levels.ts). */
export const Levels = { uniform: 0, iq4nl: 1, e2m1: 2 } as const;

/**
 * Where step and origin of a group of codes come from: a weight is step * q + origin. Named after what is at `stepOffset`
 * (and, for the K formats, `scalesOffset`) of a block; kernels/js/codes.ts has the formulas.
 */
export const StepKind = {
  /** The caller gives one step a row. */
  external: 0,
  /** A float16. */
  f16: 1,
  /** A float16, and after it the origin, another (Q4_1, Q5_1). */
  f16Origin: 2,
  /** Two float16, and 4 + 4 bits a group (Q2_K). */
  k2: 3,
  /** A float16, and 6 bits a group, less 32 (Q3_K). */
  k3: 4,
  /** Two float16, and 6 + 6 bits a group (Q4_K, Q5_K). */
  k4: 5,
  /** A float16, and an int8 a group (Q6_K). */
  k6: 6,
  /** A float16, and 6 bits a group, less 32, in two places (IQ4_XS). */
  iq4: 7,
  /** A power of two, halved (MXFP4). */
  e8m0: 8,
  /** An 8-bit float a group, halved (NVFP4). */
  ue4m3: 9,
} as const;

/** Weights of a cell: what collides together. No more than a block of the largest formats, and a multiple of every block. */
export const CELL = 256;

/** Weights in one partial sum of `sumSquares`: the order of summation is fixed by it. */
export const SUM_LEAF = 65536;

export interface Kernels {
  readonly backend: "native" | "wasm" | "js";
  /** "avx512", "avx2", "neon" or "scalar" (native), "simd128" or "scalar" (wasm), "scalar" (js). */
  readonly isa: string;

  /** Philox4x32-10 words. */
  bits(out: Uint32Array, key: Key, at: Position): void;
  /** Uniforms in [0, 1): the upper 24 bits of a word, times 2^-24. */
  uniform(out: Float32Array, key: Key, at: Position): void;
  /** Standard normals by Box-Muller: words 0 and 1 of a block make its first two, words 2 and 3 the others. |z| <= 6.67. */
  normal(out: Float32Array, key: Key, at: Position): void;

  /** Moves whole blocks in place; returns how many codes changed. */
  perturb(data: Uint8Array, move: Move): number;

  /** The same on threads outside the event loop, where the backend has them. `data` must be left alone until it resolves. */
  perturbAsync?(data: Uint8Array, move: Move): Promise<number>;

  /**
   * One step of the dynamics `langevin` (kernels/js/langevin.ts): `live` and `pristine` are the same whole blocks of one tensor, and every
   * weight of `live` is pulled towards its pristine value by the factor `keep` = e^(-1/tau) (a float32, 0 <= keep < 1), then kicked, so that
   * its stationary standard deviation is sigma. Moves are `matched`. Returns how many codes of `live` changed.
   */
  relax(live: Uint8Array, pristine: Uint8Array, move: Move, keep: number): number;

  /**
   * `total` plus the sum of the squares of the weights, in float64, in one order: leaves of SUM_LEAF weights, each summed from zero
   * and then added to the total. Within a leaf, group after group of codes: a step^2 + b (2 step origin) + n origin^2 with
   * a = sum of q^2 and b = sum of q, exact (rows with external steps are cut every 4096 weights);
   * for floats, 16 accumulators (weight i goes to i mod 16) added pairwise 8, 4, 2, 1 apart.
   * A call that is not the last one of a tensor must hand over whole leaves.
   */
  sumSquares(
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    index: number,
    total: number,
  ): number;

  /** How many codes (or floats) of two stretches of whole blocks differ. */
  difference(a: Uint8Array, b: Uint8Array, format: EncodedFormat): number;

  /** Maps a file into memory. Only backends that can (native): the others go through positioned reads and writes. */
  map?(path: string, writable: boolean): MappedFile;
}

/** The steps of a tensor's groups, coarsely, and what its last draw moved (native/kernels/indexed.inl.h): the backend's own. */
export type StepIndex = object;

/** Tensors and their moves: the backend's own. */
export type CollisionPlan = object;

/** Cells drawn anew that are not yet written: the backend's own. */
export type PreparedCollisions = object;

/** Where a whole tensor lies in a file, and how it moves. */
export interface TensorRange {
  readonly offset: number;
  readonly length: number;
  readonly move: Move;
}

/** A file in memory. Work runs on threads outside the event loop; the bytes do not depend on how many. */
export interface MappedFile {
  readonly size: number;
  /** Copies `length` bytes at `offset` from `source` (same offset) unless it is null, then moves them; resolves to the number of changed codes. */
  perturb(offset: number, length: number, move: Move, source: MappedFile | null): Promise<number>;
  /**
   * Indexes the steps of a whole tensor, of a lattice format with whole numbers for levels and steps of its own. About 3 % of the tensor's
   * bytes (6 % of four-bit ones).
   */
  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex>;
  /**
   * Like `perturb` with a source, where this file's bytes are what `redraw` with this index made of them last, if it did, and anything if it did not.
   * Where moves are rare, only what this move and the last one touch is looked at. A sigma of 0 moves nothing. `move.index` is
   * a multiple of 2^18 weights, and `length` covers such a multiple or ends the tensor.
   */
  redraw(offset: number, length: number, move: Move, source: MappedFile, index: StepIndex): Promise<number>;
  /** Tells of tensors whose cells are to collide with `source`'s: what `collide` is told once, since ticks are to take no time. */
  planCollide(tensors: readonly TensorRange[], source: MappedFile): CollisionPlan;
  /**
   * Of each tensor of the plan, every cell whose word of Purpose.Collision is below `threshold` at this tick becomes the source's, moved.
   * In all, the number of codes of those cells that then differ from the source's. Brief work is done at once, longer work on threads.
   */
  collide(plan: CollisionPlan, tick: number, threshold: number): number | Promise<number>;
  /**
   * Begins to make what `collide` would write, in the background, where it takes a processor only while nobody else wants it; the file is not touched.
   * Null where the system gives no thread.
   */
  prepareCollide(plan: CollisionPlan, tick: number, threshold: number): PreparedCollisions | null;
  /** Writes it; what `collide` would have returned. Null where it was not done in time: then it never is. */
  apply(prepared: PreparedCollisions): number | null;
  /** How many codes differ from those of `source` (same offset). */
  difference(offset: number, length: number, format: EncodedFormat, source: MappedFile): Promise<number>;
  /** `relax` of `length` bytes at `offset`, the pristine ones in `source` at the same offset; resolves to the number of changed codes. */
  relax(offset: number, length: number, move: Move, source: MappedFile, keep: number): Promise<number>;
  /** Copies `length` bytes at `offset` from `source` (same offset). */
  copyFrom(source: MappedFile, offset: number, length: number): Promise<void>;
  sumSquares(
    offset: number,
    length: number,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
  ): Promise<number>;
  /** Unmaps. Further calls throw. */
  close(): void;
}
