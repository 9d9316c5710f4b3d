// The native backend: finds the addon, and gives its positional calls the shape of the contract.

import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BrownianError } from "../errors.js";
import { alias } from "../laws/alias.js";
import { type Decay, decayOf } from "../laws/decay.js";
import type { EncodedFormat, Key, Move, Position } from "../laws/move.js";
import { Field } from "../laws/numbers.js";
import { HITS, LAW_TAILS } from "../laws/tables.js";
import type { CollisionPlan, Kernels, MappedFile, PreparedCollisions, StepIndex, TensorRange } from "./contract.js";
import { offer, setting } from "./select.js";

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
type MoveArguments = [
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

interface AddonFile {
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
    decay: Decay,
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

interface Addon {
  targets(): { name: string; runs: boolean; reason: string }[];
  setLaw(tails: Float32Array, hits: Uint32Array, alias: Int8Array): void;
  readonly bits: Fill<Uint32Array>;
  readonly uniform: Fill<Float32Array>;
  readonly normal: Fill<Float32Array>;
  perturb(target: number, data: Uint8Array, ...move: MoveArguments): number;
  relax(target: number, live: Uint8Array, pristine: Uint8Array, decay: Decay, ...move: MoveArguments): number;
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
function loadAddon(): Addon {
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
function withLaw(native: Addon): Addon {
  if (!lawful) native.setLaw(LAW_TAILS, HITS, alias());
  lawful = true;
  return native;
}

/** Which instruction sets the addon has, best first, and why some do not run here. Throws when there is no addon. */
export function nativeTargets(): { name: string; runs: boolean; reason: string }[] {
  return loadAddon().targets();
}

/** Threads for work on files: BROWNIAN_THREADS, or the cores that this process may use. */
export function threadCount(wanted = setting("BROWNIAN_THREADS")): number {
  if (wanted === undefined || wanted === "") return availableParallelism();
  const threads = Number(wanted);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 1024) return threads;
  throw new BrownianError("usage", `BROWNIAN_THREADS must be a whole number from 1 to 1024, but is "${wanted}".`);
}

/** The native kernels for this ISA, or for the best one. Throws with the reason when they cannot run. */
export function loadNative(isa: string | undefined, threads = threadCount()): Kernels {
  const native = loadAddon();
  const targets = native.targets();
  const target = isa === undefined ? targets.findIndex((t) => t.runs) : targets.findIndex((t) => t.name === isa);
  const found = targets[target];
  if (found === undefined) throw new Error(`the addon has no ${isa} (it has ${targets.map((t) => t.name).join(", ")})`);
  if (!found.runs) throw new Error(`${found.name}: ${found.reason}`);

  const position = (key: Key, at: Position) => [key.k0, key.k1, at.blockLo, at.blockHi, at.skip, at.tick, at.purpose] as const;
  return {
    backend: "native",
    isa: found.name,
    bits: (out, key, at) => native.bits(target, out, ...position(key, at)),
    uniform: (out, key, at) => native.uniform(target, out, ...position(key, at)),
    normal: (out, key, at) => native.normal(target, out, ...position(key, at)),
    perturb: (data, move) => withLaw(native).perturb(target, data, ...moveArguments(move)),
    relax: (live, pristine, move, keep) =>
      withLaw(native).relax(target, live, pristine, decayFor(move, keep), ...moveArguments(move)),
    perturbAsync: (data, move) => withLaw(native).perturbAsync(target, threads, data, ...moveArguments(move)),
    sumSquares: (data, format, steps, rowLength, index, total) =>
      native.sumSquares(target, data, format, steps, rowLength, index, total),
    difference: (a, b, format) => native.difference(target, a, b, format),
    map: (path, writable) => new NativeFile(new (withLaw(native).MappedFile)(path, writable), target, threads),
  };
}

function moveArguments(move: Move): MoveArguments {
  const { format, sigma, inSteps, steps, rowLength, rounding, key, index, tick, columns } = move;
  const { factors = null, width = 0, matrix = 0 } = columns ?? {};
  return [format, sigma, inSteps, steps, rowLength, rounding, key.k0, key.k1, index, tick, factors, width, matrix];
}

const decayFor = (move: Move, keep: number): Decay => decayOf(keep, move.format[Field.levels] as number);

class NativeFile implements MappedFile {
  constructor(
    private readonly file: AddonFile,
    private readonly target: number,
    private readonly threads: number,
  ) {}

  get size(): number {
    return this.file.size;
  }

  perturb(offset: number, length: number, move: Move, source: MappedFile | null): Promise<number> {
    const from = source === null ? null : (source as NativeFile).file;
    return this.file.perturb(this.target, this.threads, offset, length, from, ...moveArguments(move));
  }

  indexSteps(offset: number, length: number, format: EncodedFormat): Promise<StepIndex> {
    return this.file.indexSteps(this.target, this.threads, offset, length, format);
  }

  redraw(offset: number, length: number, move: Move, source: MappedFile, index: StepIndex): Promise<number> {
    const { file } = source as NativeFile;
    return this.file.redraw(this.target, this.threads, offset, length, file, index, move.index, ...moveArguments(move));
  }

  planCollide(tensors: readonly TensorRange[], source: MappedFile): CollisionPlan {
    const moves = tensors.flatMap(({ offset, length, move }) => [offset, length, ...moveArguments(move)]);
    return this.file.planCollide((source as NativeFile).file, ...moves);
  }

  collide(plan: CollisionPlan, tick: number, threshold: number): number | Promise<number> {
    return this.file.collide(this.target, this.threads, plan, tick, threshold);
  }

  prepareCollide(plan: CollisionPlan, tick: number, threshold: number): PreparedCollisions | null {
    return this.file.prepareCollide(this.target, 1, plan, tick, threshold);
  }

  apply(prepared: PreparedCollisions): number | null {
    return this.file.apply(prepared);
  }

  difference(offset: number, length: number, format: EncodedFormat, source: MappedFile): Promise<number> {
    return this.file.difference(this.target, this.threads, offset, length, format, (source as NativeFile).file);
  }

  relax(offset: number, length: number, move: Move, source: MappedFile, keep: number): Promise<number> {
    const { file } = source as NativeFile;
    return this.file.relax(this.target, this.threads, offset, length, file, decayFor(move, keep), ...moveArguments(move));
  }

  async copyFrom(source: MappedFile, offset: number, length: number): Promise<void> {
    await this.file.copyFrom(this.threads, (source as NativeFile).file, offset, length);
  }

  sumSquares(
    offset: number,
    length: number,
    format: EncodedFormat,
    steps: Float32Array | null,
    rowLength: number,
  ): Promise<number> {
    return this.file.sumSquares(this.target, this.threads, offset, length, format, steps, rowLength);
  }

  close(): void {
    this.file.close();
  }
}

offer({ backend: "native", isas: ["avx512", "avx2", "neon", "scalar"], attempts: [undefined], load: (isa) => loadNative(isa) });
