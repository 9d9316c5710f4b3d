// The log of a search in adapters is its checkpoint: which directions of which model, then the scales that each generation came to. With the model these
// are the adapter. A search that goes on is told the rewards of its log again, of which all its steps are a function. Rests on log-file.ts.

import type { FileIdentity } from "../files/identity.js";
import { type LogKind, readLogOf } from "./log-file.js";

const FORMAT = "brownian-adapter-search";
const VERSION = 1;

/** A dictionary of low-rank directions: members 0 to `count` - 1 of a seed. */
export interface Directions {
  /** Decimal digits of 64 bits. */
  readonly seed: string;
  readonly count: number;
  /** Of each on a matrix. */
  readonly rank: number;
  /** Globs of tensor names; null: all. */
  readonly only: readonly string[] | null;
}

/** What a search in adapters is of, and how: the first line. */
export interface AdapterLogHead {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  /** Of the model. */
  readonly base: FileIdentity;
  readonly directions: Directions;
  /** What else it was told, by name. A search that goes on was told the same. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What a generation came to. */
export interface AdapterGeneration {
  /** From 0. */
  readonly generation: number;
  /** Of the candidates in turn; null for what was no number. */
  readonly rewards: readonly (number | null)[];
  /** Why the search did not move, where it did not. */
  readonly stood?: string | undefined;
  /** Of the mean after it: the scale of each direction, in RMS of each tensor. */
  readonly scales: readonly number[];
  /** Root of the sum of their squares: the mean's noise on a weight, in RMS. */
  readonly noise: number;
}

/** A log of a search in adapters as it was read. */
export interface AdapterLog {
  readonly head: AdapterLogHead;
  readonly generations: readonly AdapterGeneration[];
}

export const adapterHead = (
  base: FileIdentity,
  directions: Directions,
  settings: Readonly<Record<string, unknown>>,
): AdapterLogHead => ({ format: FORMAT, version: VERSION, base, directions, settings });

/** Searches in adapters. */
export const ADAPTER_SEARCH: LogKind<AdapterLogHead, AdapterGeneration> = {
  format: FORMAT,
  version: VERSION,
  command: "brownian evolve-adapter",
  isGeneration: ({ rewards, scales }) =>
    Array.isArray(rewards) && Array.isArray(scales) && scales.every((scale) => Number.isFinite(scale)),
  told: ({ directions: { seed, count, rank, only }, settings }) => ({
    "seed of the directions": seed,
    directions: count,
    rank,
    only,
    ...settings,
  }),
};

/**
 * Reads a log of `evolveAdapter`. A last line that is not whole, as after a crash, is left out.
 * @throws BrownianError file-not-found, file-access; usage for what is no such log, or is damaged before its last line
 * @example
 * const { generations } = await readAdapterLog("run.jsonl");
 * const scales = generations.at(-1)?.scales;
 */
export const readAdapterLog = (path: string): Promise<AdapterLog> => readLogOf([ADAPTER_SEARCH], path);
