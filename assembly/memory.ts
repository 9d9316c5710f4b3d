// The module's memory: fixed places, no allocator. JavaScript writes to the stage, the steps, the format and the law; kernels own the rest.

export * from "./contract";

/** Weights a tile, and where sums cut rows with external steps. */
export const TILE: i32 = 4096;

/** Bytes in and out, at most one leaf of weights (contract.ts, SUM_LEAF); room for what SIMD makes beyond what was asked for: it makes eight blocks at a time. */
export const STAGE: usize = memory.data(65536 * 4 + 128, 64);
/** The pristine bytes of what `relax` has on the stage, which then is half a leaf. */
export const PRISTINE_STAGE: usize = STAGE + 32768 * 4;
/** External steps: of each row that a call touches. */
export const STEPS: usize = memory.data(65536 * 4 + 64, 64);
export const FORMAT: usize = memory.data(24 * 4, 64);
export const LAW: usize = memory.data(17 * 16 * 4, 64);
/** 2^32 P(N <= n) of the number of hits in a tile of rare moves, a row for each of four means. */
export const HITS: usize = memory.data(4 * 128 * 4, 64);

/** a, 1 - a^2, sqrt(1 - a^2), and rows of betas: src/laws/decay.ts. */
export const DECAY: usize = memory.data((3 + 16 * 256) * 4, 64);

export const CODES: usize = memory.data(4096, 64);
export const PRISTINE_CODES: usize = memory.data(4096, 64);
/** Moves of a tile, an int8 each. */
export const MOVES: usize = memory.data(4096, 64);
export const NORMAL_DRAWS: usize = memory.data(4096 * 4 + 128, 64);
export const ROUNDING_DRAWS: usize = memory.data(4096 * 4 + 128, 64);
export const MOVE_DRAWS: usize = memory.data(4096 * 2 + 128, 64);
export const PULL_DRAWS: usize = memory.data(4096 * 4 + 128, 64);
export const FINE_DRAWS: usize = memory.data(4096 + 16 + 128, 64);
export const REFINE_DRAWS: usize = memory.data(128, 64);
/** src/laws/alias.ts: rows of first outcomes, second outcomes, and thresholds of eight variants, sixteen bytes each. */
export const ALIAS: usize = memory.data(130 * 160, 64);
/** What runs draw: a byte a weight, five bits that eight weights of 2048 share, and a word a piece of 32 weights. */
export const BYTE_DRAWS: usize = memory.data(4096 + 256, 64);
export const SHARED_DRAWS: usize = memory.data(3 * 256 + 128, 64);
export const ROW_DRAWS: usize = memory.data(4096 / 8 + 256, 64);
/** Moves of sixteen weights of which not all belong to a run. */
export const ROOM: usize = memory.data(16, 64);
/** Of a group of a table's codes that large noise moves: its normals and rounding words. */
export const GROUP_NORMALS: usize = memory.data(64 * 4 + 128, 64);
export const GROUP_ROUNDING: usize = memory.data(64 * 4 + 128, 64);
/** What the law of small moves needs of a table's codes (levels.ts), and the thresholds of a group: rise and fall, lower and upper bytes. */
export const SMALL_RISE: usize = memory.data(16 * 4, 64);
export const SMALL_FALL: usize = memory.data(16 * 4, 64);
export const SMALL_MOST: usize = memory.data(16 * 4, 64);
export const SMALL_UP: usize = memory.data(16, 64);
export const SMALL_DOWN: usize = memory.data(16, 64);
export const HALF_DRAWS: usize = memory.data(4096 * 2 + 128, 64);
/** The laws of half floats by the binade of a step: thresholds, a row of sixteen a column, their upper and lower bytes, and factors 2^bits. */
export const HALF_HIGH: usize = memory.data(16 * 16, 64);
export const HALF_LOW: usize = memory.data(16 * 16, 64);
export const HALF_FACTORS: usize = memory.data(16, 64);
export const LANES: usize = memory.data(16 * 8, 64);
/**
 * Of each run of a tile of rows, or of a leaf of groups: its step, its noise in steps (0 where it moves rarely), its variance (0 where it does not), and its
 * end. Where runs have several pieces, the steps in the end are those of pieces.
 */
export const RUN_STEPS: usize = memory.data(4096 * 4 + 64, 64);
export const RUN_SCALES: usize = memory.data(4096 * 4, 64);
export const RUN_VARIANCES: usize = memory.data(4096 * 4 + 64, 64);
export const RUN_ENDS: usize = memory.data(4096 * 4, 64);
/** The halves that steps are made of. */
export const HALVES: usize = memory.data(4096 * 2 + 64, 64);
/** Of the pieces of a leaf: a byte each, the numbers of those that may have hits, and the block of one. */
export const PIECE_BYTES: usize = memory.data(4096 + 256, 64);
export const PIECES: usize = memory.data(4096 * 4, 64);
export const PIECE_BLOCK: usize = memory.data(128, 64);
/** Of a piece with more hits than one: which weights, and their codes before. */
export const HIT_WEIGHTS: usize = memory.data(10 * 4, 64);
export const HIT_BEFORE: usize = memory.data(16, 64);
/** Which classes of rare moves the rows of a tile have. */
export const CLASSES: usize = memory.data(512, 64);
/** Of each level, the hits of the tile that was asked for last: place (u64), take (u32), sign (i32). */
export const HIT_TILES: usize = memory.data(41 * 128 * 16, 64);
/** Of each level, that tile's number (u64), its class, and how many hits it has (i32). */
export const HIT_TILE_NUMBERS: usize = memory.data(41 * 8, 64);
export const HIT_CLASSES: usize = memory.data(41 * 4, 64);
export const HIT_COUNTS: usize = memory.data(41 * 4, 64);
/** Words of the hits of a tile; room for what SIMD makes beyond them. */
export const HIT_WORDS: usize = memory.data(128 * 16 + 128, 64);
/** Hits of a tile that move a code without blocks: which weight (u32), and by how much (i32). */
export const TAKEN: usize = memory.data(129 * 8, 64);
/** Where single codes lie, plane by plane. */
export const CODE_PLANES: usize = memory.data(2 * 40, 64);
/** Codes that the hits of a tile moved: which, what they were before, and a set of their last bits. */
export const MOVED_PLACES: usize = memory.data(128 * 4, 64);
export const MOVED_BEFORE: usize = memory.data(128, 64);
export const MOVED_SEEN: usize = memory.data(512, 64);

// @ts-ignore: decorator
@inline
export function field(which: i32): i32 {
  return load<i32>(FORMAT + (<usize>which << 2));
}
