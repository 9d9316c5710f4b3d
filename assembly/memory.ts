// The module's memory: fixed places, no allocator. JavaScript writes to the stage, the steps, the format, the parameters and
// the tables (core.ts has their addresses); kernels own the rest. All lengths follow from the numbers of the contract and those
// below.

export * from "./contract";
import {
  ALIAS_ROW,
  ALIAS_STILL,
  DECAY_COLUMNS,
  DECAY_HEAD,
  FORMAT_FIELDS,
  HITS_CLASSES,
  HITS_MOST,
  LAW_COLUMNS,
  LAW_ROWS,
  MOST_LEVELS,
  ROW_SPAN,
  SHARED,
  SHARED_TILE,
  SUM_LEAF,
} from "./contract";

/** Weights a tile. */
export const TILE: i32 = 4096;
/** The most weights that share a step, among formats whose codes stand for entries of a table. */
const TABLE_GROUP: i32 = 64;
/** The most hits of a hit group (rare-groups.ts), and the highest octave of rare moves of rows (rare-rows.ts). */
export const MOST_HITS: i32 = 10;
export const HIGHEST_OCTAVE: i32 = 40;
/** Words of 64 bits in the set of codes that were moved (rare-rows.ts). */
export const SEEN_WORDS: i32 = 64;
/** Bytes of what code-at.ts notes of a plane, and the most planes of a format. */
export const PLANE_NOTES: i32 = 40;
const MOST_PLANES: i32 = 2;

/** SIMD makes eight blocks of noise at a time, more than was asked for: room for what it makes too many. */
const SPARE: i32 = 8 * 16;
/** Room for what SIMD loads beyond the last number. */
const BEYOND: i32 = 64;
const LINE: i32 = 64; // bytes of a cache line
const OCTAVES: i32 = HIGHEST_OCTAVE + 1;

/** Bytes in and out, at most one leaf of weights. */
export const STAGE: usize = memory.data(SUM_LEAF * 4 + SPARE, LINE);
/** The pristine bytes of what an evolution has on the stage, which then is half a leaf. */
export const PRISTINE_STAGE: usize = STAGE + (SUM_LEAF / 2) * 4;
/** Codes on an even grid as they were before an evolution: half a leaf, of not much more than a byte a weight. */
export const BEFORE_STAGE: usize = memory.data(SUM_LEAF, LINE);
/** External steps: of each row that a call touches. */
export const STEPS: usize = memory.data(SUM_LEAF * 4 + BEYOND, LINE);
export const FORMAT: usize = memory.data(FORMAT_FIELDS * 4, LINE);
/** What an evolution goes by: of `relax`, the table of src/laws/decay.ts. */
export const PARAMETERS: usize = memory.data((DECAY_HEAD + MOST_LEVELS * DECAY_COLUMNS) * 4, LINE);
/** The tables of src/laws/tables.ts and alias.ts. */
export const LAW: usize = memory.data(LAW_ROWS * LAW_COLUMNS * 4, LINE);
export const HITS: usize = memory.data(HITS_CLASSES * HITS_MOST * 4, LINE);
export const ALIAS: usize = memory.data((ALIAS_STILL + 1) * ALIAS_ROW, LINE);

export const CODES: usize = memory.data(TILE, LINE);
export const PRISTINE_CODES: usize = memory.data(TILE, LINE);
/** Moves of a tile, an int8 each. */
export const MOVES: usize = memory.data(TILE, LINE);
/** Moves of sixteen weights of which not all belong to a run. */
export const SCRATCH: usize = memory.data(16, LINE);

// Draws of a tile (draws.ts): a number a weight, of 32, 16 or 8 bits.
export const NORMAL_DRAWS: usize = memory.data(TILE * 4 + SPARE, LINE);
export const ROUNDING_DRAWS: usize = memory.data(TILE * 4 + SPARE, LINE);
export const PULL_DRAWS: usize = memory.data(TILE * 4 + SPARE, LINE);
export const STAY_DRAWS: usize = memory.data(TILE + 16 + SPARE, LINE);
export const MOVE_DRAWS: usize = memory.data(TILE * 2 + SPARE, LINE);
export const HALF_DRAWS: usize = memory.data(TILE * 2 + SPARE, LINE);
export const FINE_DRAWS: usize = memory.data(TILE + 16 + SPARE, LINE);
export const BYTE_DRAWS: usize = memory.data(TILE + 16 + SPARE, LINE);
/** Five bits that eight weights of SHARED_TILE share: of every such tile that a tile touches. */
export const SHARED_DRAWS: usize = memory.data((TILE / SHARED_TILE + 1) * SHARED + SPARE, LINE);
/** A word a row span. */
export const ROW_DRAWS: usize = memory.data((TILE / ROW_SPAN) * 4 + 16 + SPARE, LINE);
export const REFINE_DRAWS: usize = memory.data(SPARE, LINE);

// Codes of a table (table-moves.ts). Of a group that large noise moves: its normals and rounding words.
export const GROUP_NORMALS: usize = memory.data(TABLE_GROUP * 4 + SPARE, LINE);
export const GROUP_ROUNDING: usize = memory.data(TABLE_GROUP * 4 + SPARE, LINE);
/**
 * What the law of small moves needs of each code: factors of its thresholds, the variance that it serves at most, the bits that
 * change.
 */
export const SMALL_RISE: usize = memory.data(MOST_LEVELS * 4, LINE);
export const SMALL_FALL: usize = memory.data(MOST_LEVELS * 4, LINE);
export const SMALL_MOST: usize = memory.data(MOST_LEVELS * 4, LINE);
export const SMALL_UP: usize = memory.data(MOST_LEVELS, LINE);
export const SMALL_DOWN: usize = memory.data(MOST_LEVELS, LINE);

/**
 * The laws of half floats by the binade of a step (float-moves.ts): upper and lower bytes of thresholds, a row of sixteen a
 * column, and factors 2^bits.
 */
export const HALF_HIGH: usize = memory.data(LAW_COLUMNS * 16, LINE);
export const HALF_LOW: usize = memory.data(LAW_COLUMNS * 16, LINE);
export const HALF_FACTORS: usize = memory.data(16, LINE);

/** Accumulators of a sum of squares (sums.ts). */
export const LANES: usize = memory.data(16 * 8, LINE);

/**
 * Of each run of a tile of rows, or of a leaf of groups (lattice.ts): its step, its noise in steps (0 where it moves rarely),
 * its variance (0 where it does not), and its end. A group has 16 weights at least.
 */
export const RUN_STEPS: usize = memory.data((SUM_LEAF / 16) * 4 + BEYOND, LINE);
export const RUN_SCALES: usize = memory.data((SUM_LEAF / 16) * 4 + BEYOND, LINE);
export const RUN_VARIANCES: usize = memory.data((SUM_LEAF / 16) * 4 + BEYOND, LINE);
/** Of each group of a tile: where the row of the table and the thresholds that it draws by lie (dense-groups.ts). */
export const GROUP_ROWS: usize = memory.data((TILE / 16) * 4 + BEYOND, LINE);
export const GROUP_THRESHOLDS: usize = memory.data((TILE / 16) * 4 + BEYOND, LINE);
export const RUN_ENDS: usize = memory.data(TILE * 4, LINE);
/** The float16 numbers that the steps of a tile are made of. */
export const HALVES: usize = memory.data(TILE * 2 + BEYOND, LINE);

// Rare moves of groups (rare-groups.ts). Of the hit groups of a leaf: a byte each, the numbers of those that may have hits, and the
// block of one.
export const HIT_GROUP_BYTES: usize = memory.data(SUM_LEAF / 16 + 16 + SPARE, LINE);
export const HIT_GROUPS: usize = memory.data((SUM_LEAF / 16) * 4, LINE);
export const HIT_GROUP_BLOCK: usize = memory.data(SPARE, LINE);
/** Of a hit group with more hits than one: which weights, and their codes before. */
export const HIT_WEIGHTS: usize = memory.data(MOST_HITS * 4, LINE);
export const HIT_BEFORE: usize = memory.data(MOST_HITS, LINE);
/** Where single codes lie, plane by plane (code-at.ts). */
export const CODE_PLANES: usize = memory.data(MOST_PLANES * PLANE_NOTES, LINE);

// Rare moves of rows (rare-rows.ts): which classes the rows of a tile have, a byte each.
export const CLASSES: usize = memory.data(512, LINE);
/** Of each octave, the hits of the tile that was asked for last: place (u64), the word that decides (u32), sign (i32). */
export const HIT_TILES: usize = memory.data(OCTAVES * HITS_MOST * 16, LINE);
/** Of each octave, that tile's number (u64), its class, and how many hits it has (i32). */
export const HIT_TILE_NUMBERS: usize = memory.data(OCTAVES * 8, LINE);
export const HIT_CLASSES: usize = memory.data(OCTAVES * 4, LINE);
export const HIT_COUNTS: usize = memory.data(OCTAVES * 4, LINE);
/** Words of the hits of a tile. */
export const HIT_WORDS: usize = memory.data(HITS_MOST * 16 + SPARE, LINE);
/**
 * Hits of a tile that move a code without blocks: which weight (u32), and by how much (i32); one more is written, and not
 * counted.
 */
export const ACCEPTED: usize = memory.data((HITS_MOST + 1) * 8, LINE);
/** Codes that the hits of a tile moved: which, what they were before, and a set of their last bits. */
export const MOVED_PLACES: usize = memory.data(HITS_MOST * 4, LINE);
export const MOVED_BEFORE: usize = memory.data(HITS_MOST, LINE);
export const MOVED_SEEN: usize = memory.data(SEEN_WORDS * 8, LINE);

// @ts-ignore: decorator
@inline
export function field(which: i32): i32 {
  return load<i32>(FORMAT + (<usize>which << 2));
}
