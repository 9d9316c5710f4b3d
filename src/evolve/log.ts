// The log of a search is its checkpoint: a line of JSON on what it is of and how, and one a generation. With the base it makes the model again, bit for
// bit, on any machine: what is added to the codes is in it, and moves are functions of seed, tensor, index and tick. Rests on log-file.ts.

import type { FileIdentity } from "../files/identity.js";
import type { Scale } from "../thermostat/scales/index.js";
import type { Ascent } from "./codes.js";
import { type LogKind, readLogOf } from "./log-file.js";
import type { Measured } from "./measure.js";

const FORMAT = "brownian-evolution";
const VERSION = 1;

/** What decides which moves there are. */
export interface Moves {
  readonly sigma: number;
  readonly scale: Scale;
  /** Decimal digits of 64 bits. */
  readonly seed: string;
  /** Globs of tensor names; null: all. */
  readonly only: readonly string[] | null;
  /** Where what rounding leaves of updates is kept: true. */
  readonly accumulate?: true | undefined;
  /** Where float tensors evolve too: true. */
  readonly floats?: true | undefined;
}

/** What a search is of, and how: the first line. */
export interface LogHead {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  /** Of the model that it began with. */
  readonly base: FileIdentity;
  readonly moves: Moves;
  /** What else it was told, by name. A search that goes on was told the same. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** One generation, or what was done after the last. */
export interface LogGeneration extends Ascent {
  /** From 0. */
  readonly generation: number;
  /** Of the members in turn; null for what was no number. */
  readonly rewards: readonly (number | null)[];
  /** Codes of the centre that changed. */
  readonly changed: number;
  /** Why the centre did not move, where it did not. */
  readonly stood?: string | undefined;
  /** What the centre got after this generation, where that was measured. */
  readonly measured?: Measured | undefined;
  readonly seconds?: number | undefined;
}

/** A log as it was read. */
export interface EvolutionLog {
  readonly head: LogHead;
  readonly generations: readonly LogGeneration[];
}

export const headOf = (base: FileIdentity, moves: Moves, settings: Readonly<Record<string, unknown>>): LogHead => ({
  format: FORMAT,
  version: VERSION,
  base,
  moves,
  settings,
});

const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every((one) => Number.isFinite(one));

/** Searches on codes. */
export const EVOLUTION: LogKind<LogHead, LogGeneration> = {
  format: FORMAT,
  version: VERSION,
  command: "brownian evolve",
  isGeneration: ({ tick, weights, decay, rewards }) =>
    Number.isInteger(tick) && isNumbers(weights) && weights.length % 2 === 0 && Number.isFinite(decay) && Array.isArray(rewards),
  told: ({ moves, settings }) => ({ ...moves, ...settings }),
};

/**
 * Reads a log. A last line that is not whole, as after a crash, is left out.
 * @throws BrownianError file-not-found, file-access; usage for what is no log, or is damaged before its last line
 * @example
 * const { head, generations } = await readLog("run.jsonl");
 */
export const readLog = (path: string): Promise<EvolutionLog> => readLogOf([EVOLUTION], path);
