// The numbers that the three backends have in common: which draw serves what, what the fields of an encoded format mean, and the lengths that
// results depend on. Written here once: native/contract.h and assembly/contract.ts are made from this file.

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
  /** Rare moves of rows, plus 256 times their class: two hits a block (laws/rare-rows.ts). */
  Hit: 5,
  /** Which cells collide: one word a cell. */
  Collision: 6,
  /** What rounds the pull of `relax`: one word an element. */
  Pull: 7,
  /** What large moves under the `matched` law have between the points of a coarser grid: a byte an element, sixteen elements a block. */
  Fine: 8,
  /** Moves of runs under the `matched` law: a byte an element, sixteen elements a block (laws/alias.ts). */
  Draw: 9,
  /** Lower bits that eight weights of 2048 share: 256 bytes for every 2048 elements. */
  Shared: 10,
  /** Which row of the law's table 32 elements (a row span) have: one word each. */
  Row: 11,
  /** Which hit groups of 16 or 32 elements may have rare moves: a byte each (laws/rare-groups.ts). */
  Rare: 12,
  /** The rare moves of a hit group: a block each. */
  RareHits: 13,
  /**
   * Moves of F16 and BF16 under the `matched` law: 16 bits an element, eight elements a block. Twice six for what they have between the points
   * of a coarser grid, and four that round them where they end on a coarser one (Rounding has more where those do not decide).
   */
  Half: 14,
  /** Which codes of light noise `relax` leaves where they are: a byte an element, sixteen elements a block (laws/pulls.ts). */
  Stay: 15,
  /** Moves whose sigma goes by column (laws/columns.ts): one word an element. */
  Column: 16,
  /** What rounds an update of `ascend` (laws/ascent.ts): one word an element. */
  Update: 17,
} as const;

/** How a move is put on the grid of codes; the numbers are what kernels are handed. */
export const Rounding = { nearest: 0, stochastic: 1, matched: 2 } as const;
export type Rounding = keyof typeof Rounding;

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

/** What a stored code is: on a lattice, or a float. */
export const Kind = { lattice: 0, f32: 1, f16: 2, bf16: 3, e4m3: 4, e5m2: 5 } as const;

/** The values of codes in units of the step: the whole numbers, or one of two tables (laws/levels.ts). */
export const Levels = { uniform: 0, iq4nl: 1, e2m1: 2 } as const;

/** The most entries that a table has. */
export const MOST_LEVELS = 16;

/**
 * Where step and origin of a group of codes come from: a weight is step * q + origin. Named after what is at `stepOffset`
 * (and, for the K formats, `scalesOffset`) of a block; laws/codes.ts has the formulas.
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

/** Weights of a cell: what is visited together. No more than a block of the largest formats, and a multiple of every block. */
export const CELL = 256;

/**
 * Weights that collide together: as many as are drawn and written in one go at little more than what their bytes cost, some pages of a file. A
 * sixteenth of that takes three times the work, most of it to begin.
 */
export const COLLISION_CELL = 4096;

/** The most ticks from one visit of a weight to the next (visits.ts). */
export const MOST_STRIDE = 65536;

/** Weights in one partial sum of `sumSquares`: the order of summation is fixed by it. */
export const SUM_LEAF = 65536;

/**
 * A census (census.ts) counts weights by the step that they move on, rounded to four bits of mantissa: the upper bits of the float32, so many less.
 */
export const CENSUS_SHIFT = 19;
/** As many steps there are, 0 and infinity among them. */
export const CENSUS_STEPS = (0xff << (23 - CENSUS_SHIFT)) + 1;

/** Where `sumSquares` cuts rows with external steps, in weights of a leaf: part of the order of summation. */
export const SUM_CUT = 4096;

/** Rows of the table of tails (tables.ts): the variance is row / 4. */
export const LAW_ROWS = 17;
/** Columns of it: column j - 1 holds P(|k| >= j). */
export const LAW_COLUMNS = 16;

/** Bits of a variance, as a float32, that are below a row's of the alias tables (alias.ts): rows have four bits of mantissa. */
export const ALIAS_SHIFT = 19;
/** What a float32's bits are shifted to at the first row, V = 2^-6. */
export const ALIAS_FIRST = (127 - 6) << (23 - ALIAS_SHIFT);
/** The row that moves nothing comes after all others, of which the last is V = 4. */
export const ALIAS_STILL = ((127 + 2) << (23 - ALIAS_SHIFT)) - ALIAS_FIRST + 1;
/** Bytes of a row: first outcomes, second outcomes, and thresholds of eight variants, sixteen each. */
export const ALIAS_ROW = 16 * (2 + 8);

/** Weights of a row span: they have one word that chooses their row, among the two next to their variance, and its variant. */
export const ROW_SPAN = 32;
/** Of every SHARED_TILE weights, those that are SHARED apart share five bits. */
export const SHARED_TILE = 2048;
export const SHARED = 256;

/** Weights of a hit group, which rare moves of blocks are drawn for: a group, or this many of a longer one (rare-groups.ts). */
export const HIT_GROUP = 32;
/** The most hits in a tile of rare moves of rows (rare-rows.ts), 2^HITS_MEAN_BITS on average at most, and the means that have a table. */
export const HITS_MOST = 128;
export const HITS_MEAN_BITS = 6;
export const HITS_CLASSES = 4;

/** What comes before the betas in the parameters of `relax` (decay.ts): a, 1 - a^2, sqrt(1 - a^2). */
export const DECAY_HEAD = 3;
/** Betas of one distance law: entry 0 for s^2 = 0, entry i for the float32 with the bits (i + DECAY_FIRST) << 20, up to 1.9 2^15. */
export const DECAY_COLUMNS = 256;
export const DECAY_FIRST = (127 - 16) * 8;

/** What comes before the weights in the parameters of `ascend` (ascent.ts): how many there are, and the decay. */
export const ASCENT_HEAD = 2;
/** The most that a move counts in a sum of `ascend`: sums of moves stay finite. */
export const ASCENT_LIMIT = 1048576;

/** What a row of logits says, number by number, before the sums at other temperatures (laws/logits.ts). */
export const LogitColumn = { below: 0, weight: 1, moment: 2, largest: 3, cross: 4, head: 5 } as const;
/** Partial sums over a row of logits. */
export const LOGIT_LANES = 16;
