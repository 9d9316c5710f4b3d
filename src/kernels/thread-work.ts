// What threads are asked for, as it crosses over to them (structured clones): work on whole blocks of bytes. Both sides rest on this file; it
// knows neither how threads are started nor who asks.

import type { Census, CensusColumns } from "../laws/census.js";
import type { Evolution } from "../laws/evolution.js";
import type { EncodedFormat, Move } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import type { Kernels } from "./contract.js";

/** What is done to bytes. All but `perturb` and `evolve` leave them as they are; `evolve` takes live and pristine ones. */
export type Work =
  | { readonly verb: "perturb"; readonly move: Move }
  | { readonly verb: "evolve"; readonly move: Move; readonly law: string; readonly strength: number }
  | { readonly verb: "sums"; readonly format: EncodedFormat; readonly index: number }
  | {
      readonly verb: "census";
      readonly format: EncodedFormat;
      readonly columns: CensusColumns | undefined;
      readonly index: number;
    };

/** What is worked on, and the pristine bytes where it needs them. */
export type Arrays = readonly [data: Uint8Array, pristine?: Uint8Array | undefined];

/** How many codes changed; the sums of squares of leaves; a census. */
export type Result = number | Float64Array | Census;

/** The code of a module (wasm-kernels.ts), which a thread is told first. */
export interface Greeting {
  readonly code: Uint8Array<ArrayBuffer>;
  readonly isa: string;
}

/** Work number `id`, on arrays that are shared, or whose one buffer was transferred. */
export interface Order {
  readonly id: number;
  readonly work: Work;
  readonly arrays: Arrays;
}

/** The buffer comes back where it was transferred. */
export type Answer =
  | { readonly ready: true }
  | { readonly id: number; readonly result: Result; readonly buffer?: ArrayBuffer }
  | { readonly id: number; readonly failed: string; readonly buffer?: ArrayBuffer };

/** The evolutions that threads know, by their names (wasm-thread.ts has them; pages, which have none, do without). */
export const KNOWN_LAWS: readonly string[] = ["relax"];

/** Bytes of a leaf of this format. */
export const leafBytes = (format: EncodedFormat): number =>
  (SUM_LEAF / (format[Field.weights] as number)) * (format[Field.bytes] as number);

/** How weights lie in the bytes of a work. */
export const formatOfWork = (work: Work): EncodedFormat => ("move" in work ? work.move.format : work.format);

/** The same work for what begins `weights` later. */
export function workFrom(work: Work, weights: number): Work {
  if ("move" in work) return { ...work, move: { ...work.move, index: work.move.index + weights } };
  return { ...work, index: work.index + weights };
}

/** @throws where bytes that were there are gone: their buffer was transferred, or became smaller */
export function checkThere(data: Uint8Array, bytes: number): void {
  if (data.length !== bytes) throw new Error("the memory of the data went away");
}

/** Does it; an evolution by this law. */
export function done(kernels: Kernels, work: Work, [data, pristine]: Arrays, law?: Evolution): Result {
  switch (work.verb) {
    case "perturb":
      return kernels.perturb(data, work.move);
    case "evolve":
      return kernels.evolve(data, pristine as Uint8Array, work.move, law as Evolution, work.strength);
    case "census":
      return kernels.census(data, work.format, work.columns, work.index);
    case "sums": {
      const bytes = leafBytes(work.format);
      return Float64Array.from({ length: Math.ceil(data.length / bytes) }, (_, leaf) =>
        kernels.sumSquares(data.subarray(leaf * bytes, (leaf + 1) * bytes), work.format, null, 1, work.index, 0),
      );
    }
  }
}
