// The addon as JavaScript calls it: where it lies, how it is loaded, and the shape of its calls. Only native.ts and native-file.ts know it.

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { alias } from "../laws/alias.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { HITS, LAW_TAILS } from "../laws/tables.js";
import type { CollisionPlan, PreparedCollisions, StepIndex } from "./contract.js";

type Fill<T> = (
  target: number,
  out: T,
  k0: number,
  k1: number,
  lo: number,
  hi: number,
  skip: number,
  tick: number,
  purpose: number,
) => void;
export type MoveArguments = [
  format: EncodedFormat,
  sigma: number,
  inSteps: boolean,
  steps: Float32Array | null,
  rowLength: number,
  rounding: number,
  k0: number,
  k1: number,
  index: number,
  tick: number,
  columns: Float32Array | null,
  width: number,
  matrix: number,
];

export interface AddonFile {
  readonly size: number;
  perturb(
    target: number,
    threads: number,
    offset: number,
    length: number,
    source: AddonFile | null,
    ...move: MoveArguments
  ): Promise<number>;
  indexSteps(target: number, threads: number, offset: number, length: number, format: EncodedFormat): Promise<StepIndex>;
  redraw(
    target: number,
    threads: number,
    offset: number,
    length: number,
    source: AddonFile,
    index: StepIndex,
    first: number,
    ...move: MoveArguments
  ): Promise<number>;
  planCollide(source: AddonFile, ...tensors: (number | MoveArguments[number])[]): CollisionPlan;
  collide(target: number, threads: number, plan: CollisionPlan, tick: number, threshold: number): number | Promise<number>;
  prepareCollide(
    target: number,
    threads: number,
    plan: CollisionPlan,
    tick: number,
    threshold: number,
  ): PreparedCollisions | null;
  apply(prepared: PreparedCollisions): number | null;
  difference(
    target: number,
    threads: number,
    offset: number,
    length: number,
    format: EncodedFormat,
    source: AddonFile,
  ): Promise<number>;
  relax(
    target: number,
    threads: number,
    offset: number,
    length: number,
    source: AddonFile,
    parameters: Float32Array,
    ...move: MoveArguments
  ): Promise<number>;
  copyFrom(threads: number, source: AddonFile, offset: number, length: number): Promise<number>;
  sumSquares(
    target: number,
    threads: number,
    offset: number,
    length: number,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
  ): Promise<number>;
  close(): void;
}

export interface Addon {
  targets(): { name: string; runs: boolean; reason: string }[];
  setLaw(tails: Float32Array, hits: Uint32Array, alias: Int8Array): void;
  readonly bits: Fill<Uint32Array>;
  readonly uniform: Fill<Float32Array>;
  readonly normal: Fill<Float32Array>;
  perturb(target: number, data: Uint8Array, ...move: MoveArguments): number;
  relax(target: number, live: Uint8Array, pristine: Uint8Array, parameters: Float32Array, ...move: MoveArguments): number;
  perturbAsync(target: number, threads: number, data: Uint8Array, ...move: MoveArguments): Promise<number>;
  sumSquares(
    target: number,
    data: Uint8Array,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
    index: number,
    total: number,
  ): number;
  difference(target: number, a: Uint8Array, b: Uint8Array, format: EncodedFormat): number;
  readonly MappedFile: new (path: string, writable: boolean) => AddonFile;
  /** llama.cpp's C API by way of a library that is opened at run time: src/engine/llama-c/ says what of. */
  readonly engine: unknown;
}

/** The package's root: two folders above src/kernels/, dist/kernels/ and the bundles in dist/esm/ and dist/cjs/ alike. */
function root(): string {
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

/** Where an addon may lie: what the package brings for this platform, then what `node-gyp` makes in a checkout. */
function addonPaths(host: string): string[] {
  return [join(root(), "prebuilds", host, "brownian.node"), join(root(), "build", "Release", "brownian.node")];
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

/** The addon with the tables of the law, which moves need and noise does not: they take milliseconds to make. */
export function withLaw(native: Addon): Addon {
  if (!lawful) native.setLaw(LAW_TAILS, HITS, alias());
  lawful = true;
  return native;
}

export function moveArguments(move: Move): MoveArguments {
  const { format, sigma, inSteps, steps, rowLength, rounding, key, index, tick, columns } = move;
  const { factors = null, width = 0, matrix = 0 } = columns ?? {};
  return [format, sigma, inSteps, steps, rowLength, rounding, key.k0, key.k1, index, tick, factors, width, matrix];
}
