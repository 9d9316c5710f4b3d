// The addon as JavaScript calls it: where it lies, how it is loaded, and the shape of its calls. Only native.ts and native-file.ts know it.

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { alias, makeAlias } from "../laws/alias.js";
import type { Census, CensusColumns } from "../laws/census.js";
import type { LogitQuestion } from "../laws/logits.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import { FORMAT_FIELDS } from "../laws/numbers.js";
import { HITS, LAW_TAILS } from "../laws/tables.js";
import { inSlices } from "./turns.js";

/** The steps of a tensor's groups, coarsely, and what its last draw moved (native/kernels/indexed.inl.h). */
export type StepIndex = object;
/** Tensors, their moves, and what is done to them at every tick. */
export type Plan = object;
/** The work of a tick that is not yet written. */
export type PreparedWork = object;

/** [k0, k1, blockLo, blockHi, skip, tick, purpose]: from where on a stream fills `out`. */
type Fill<T> = (target: number, out: T, place: Uint32Array) => void;

/** A move as it crosses into the addon (native/arguments.h): its numbers, or those with the steps of its rows or the factors of its columns. */
export type MoveRecord = Float64Array | [numbers: Float64Array, each: Float32Array];

/** The steps of rows, where a format has none of its own. */
export interface Rows {
  readonly steps: Float32Array;
  readonly rowLength: number;
}

/** Whole spans of a tensor that are drawn again. */
export interface RedrawnTensor {
  readonly offset: number;
  readonly length: number;
  readonly index: StepIndex;
  readonly move: MoveRecord;
}

/** A whole tensor in a file, and how it moves. */
export interface PlannedTensor {
  readonly offset: number;
  readonly length: number;
  readonly move: MoveRecord;
  /** Of its evolution, if it has one. */
  readonly parameters?: Float32Array | undefined;
}

export interface AddonFile {
  readonly size: number;
  perturb(offset: number, length: number, source: AddonFile | null, move: MoveRecord): Promise<number>;
  copyFrom(source: AddonFile, offset: number, length: number): Promise<number>;
  sumSquares(offset: number, length: number, format: EncodedFormat): Promise<number>;
  census(offset: number, length: number, format: EncodedFormat, columns: CensusColumns | null): Promise<Census>;
  difference(offset: number, length: number, format: EncodedFormat, source: AddonFile): Promise<number>;
  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex>;
  /** How many codes changed in each. */
  redraw(source: AddonFile, tensors: readonly RedrawnTensor[]): Promise<number[]>;
  /** Bytes of the index, and of its journals. */
  indexBytes(index: StepIndex): [index: number, journal: number];
  readyBytes(plan: Plan | null): number;
  planCollide(source: AddonFile, tensors: readonly PlannedTensor[], threshold: number): Plan;
  planDiffuse(source: AddonFile, tensors: readonly PlannedTensor[], stride: number): Plan;
  planDraw(source: AddonFile, tensors: readonly PlannedTensor[]): Plan;
  planEvolve(source: AddonFile, tensors: readonly PlannedTensor[], evolution: string, stride: number): Plan;
  run(plan: Plan, tick: number): number | Promise<number>;
  prepare(plan: Plan, tick: number): PreparedWork | null;
  write(prepared: PreparedWork): number | Promise<number> | undefined;
  drop(prepared: PreparedWork): void;
  /** Resolves when it is unmapped, unless work is under way. */
  close(): Promise<number>;
}

export interface Addon {
  targets(): { name: string; runs: boolean; reason: string }[];
  setLaw(tails: Float32Array, hits: Uint32Array, alias: Int8Array): void;
  readonly bits: Fill<Uint32Array>;
  readonly uniform: Fill<Float32Array>;
  readonly normal: Fill<Float32Array>;
  perturb(target: number, data: Uint8Array, move: MoveRecord): number;
  perturbAsync(target: number, threads: number, data: Uint8Array, move: MoveRecord): Promise<number>;
  evolve(
    target: number,
    evolution: string,
    live: Uint8Array,
    pristine: Uint8Array,
    parameters: Float32Array,
    move: MoveRecord,
  ): number;
  sumSquares(target: number, data: Uint8Array, format: EncodedFormat, rows: Rows | null, index: number, total: number): number;
  census(target: number, data: Uint8Array, index: number, format: EncodedFormat, columns: CensusColumns | null): Census;
  difference(target: number, a: Uint8Array, b: Uint8Array, format: EncodedFormat): number;
  readLogits(target: number, logits: Float32Array, question: LogitQuestion, out: Float64Array): number;
  readonly MappedFile: new (target: number, threads: number, path: string, writable: boolean) => AddonFile;
  /** llama.cpp's C API by way of a library that is opened at run time; src/engine/llama-c/ says what of. */
  readonly engine: unknown;
}

/** The package's root: two folders above src/kernels/, dist/kernels/ and the bundles in dist/esm/ and dist/cjs/ alike. */
export function packageRoot(): string {
  // Bundlers that write CommonJS leave nothing here.
  if (!import.meta.url) throw new Error("brownian was bundled and cannot find its addon: leave it outside the bundle (external)");
  return join(dirname(fileURLToPath(import.meta.url)), "..", "..");
}

/** What an addon for this process is called in prebuilds/. */
export function hostName(): string {
  const { platform, arch } = process;
  return `${platform}-${arch}${platform === "linux" && isMusl() ? "-musl" : ""}`;
}

/**
 * Whether this process runs on musl: its program names the loader that loads it, at its beginning. That a loader of musl lies about says
 * nothing (Debian has one for cross-compiling), and to ask Node, whose report names its glibc, takes ten times as long.
 */
function isMusl(): boolean {
  let loader = "";
  try {
    const program = openSync(process.execPath, "r");
    try {
      const head = Buffer.allocUnsafe(2048);
      loader = head.toString("latin1", 0, readSync(program, head, 0, head.length, 0));
    } finally {
      closeSync(program);
    }
  } catch {
    // Not to be read: the report tells.
  }
  if (loader.includes("/ld-musl-")) return true;
  if (loader.includes("/ld-linux")) return false;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}

/** Where an addon may lie: what `node-gyp` makes in a checkout, whose copy in prebuilds/ may be older; then what the package brings. */
function addonPaths(host: string): string[] {
  return [join(packageRoot(), "build", "Release", "brownian.node"), join(packageRoot(), "prebuilds", host, "brownian.node")];
}

let addon: Addon | undefined;

/** Loads the first addon that loads. @throws the error of the first that is there but does not load, else that there is none. */
export function loadAddon(): Addon {
  if (addon !== undefined) return addon;
  const host = hostName();
  let failure: Error | undefined;
  for (const path of addonPaths(host)) {
    if (!existsSync(path)) continue;
    try {
      // What require() does with an addon, without the search for a module before it.
      const module = { exports: {} };
      process.dlopen(module, path);
      addon = module.exports as Addon;
      return addon;
    } catch (error) {
      failure ??= new Error(`the addon does not load: ${(error as Error).message.split("\n")[0]}`, { cause: error });
    }
  }
  throw failure ?? new Error(`the addon is not built, and the package has none for ${host}`);
}

let lawful = false;

/** Makes the tables of the law, which take milliseconds, with turns of the event loop in between. */
export const makeLaw = (): Promise<void> => (lawful ? Promise.resolve() : inSlices(makeAlias));

/** The addon with the tables of the law, which moves need and noise does not. */
export function withLaw(native: Addon): Addon {
  if (!lawful) native.setLaw(LAW_TAILS, HITS, alias());
  lawful = true;
  return native;
}

/** Numbers of a record before those of the format; their order is that of `Record` in native/arguments.cc. */
const RECORD_HEAD = 10;
const numbers = new Float64Array(RECORD_HEAD + FORMAT_FIELDS);

/**
 * The move as the addon takes it. The numbers are written over by the next call: every call of the addon has read them when it returns, and
 * what is kept for later has to be copied ({@link keptRecord}). Properties would take the addon longer to read than 64 weights to move.
 */
export function moveRecord(move: Move): MoveRecord {
  const { format, steps, columns } = move;
  numbers[0] = move.sigma;
  numbers[1] = move.inSteps ? 1 : 0;
  numbers[2] = move.rowLength;
  numbers[3] = move.rounding;
  numbers[4] = move.key.k0;
  numbers[5] = move.key.k1;
  numbers[6] = move.index;
  numbers[7] = move.tick;
  numbers[8] = columns === undefined ? 0 : columns.width;
  numbers[9] = columns === undefined ? 0 : columns.matrix;
  for (let i = 0; i < FORMAT_FIELDS; i++) numbers[RECORD_HEAD + i] = format[i] as number;
  const each = columns?.factors ?? steps;
  return each === null ? numbers : [numbers, each];
}

/** The same with numbers of its own. */
export function keptRecord(move: Move): MoveRecord {
  const record = moveRecord(move);
  return Array.isArray(record) ? [record[0].slice(), record[1]] : record.slice();
}

const words = new Uint32Array(7);

/** Where a stream begins, as the addon takes it; written over by the next call. */
export function placeWords(key: Key, at: Position): Uint32Array {
  words[0] = key.k0;
  words[1] = key.k1;
  words[2] = at.blockLo;
  words[3] = at.blockHi;
  words[4] = at.skip;
  words[5] = at.tick;
  words[6] = at.purpose;
  return words;
}
