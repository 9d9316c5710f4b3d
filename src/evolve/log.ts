// The log of a search is its checkpoint: a line of JSON on what it is of and how, and one a generation. With the base it makes the model again, bit for
// bit, on any machine: what is added to the codes is in it, and moves are functions of seed, tensor, index and tick.

import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError, checkInteger, checkObject } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import type { FileIdentity } from "../files/identity.js";
import { readTextFile } from "../files/text.js";
import type { Scale } from "../thermostat/scales/index.js";
import type { Ascent } from "./codes.js";
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

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const isNumbers = (value: unknown): value is number[] => Array.isArray(value) && value.every((one) => Number.isFinite(one));

function isGeneration(value: Record<string, unknown> | undefined): value is Record<string, unknown> & LogGeneration {
  if (value === undefined) return false;
  const { generation, tick, weights, decay, rewards } = value;
  return (
    Number.isInteger(generation) &&
    Number.isInteger(tick) &&
    isNumbers(weights) &&
    weights.length % 2 === 0 &&
    Number.isFinite(decay) &&
    Array.isArray(rewards)
  );
}

/**
 * Reads a log. A last line that is not whole, as after a crash, is left out.
 * @throws BrownianError file-not-found, file-access; usage for what is no log, or is damaged before its last line
 * @example
 * const { head, generations } = await readLog("run.jsonl");
 */
export async function readLog(path: string): Promise<EvolutionLog> {
  return (await readWhole(path)).log;
}

async function readWhole(path: string): Promise<{ log: EvolutionLog; bytes: number }> {
  const text = await readTextFile(path);
  const lines = text.split("\n");
  lines.pop(); // a line has an end
  const head = parsed(lines[0] ?? "");
  if (head?.format !== FORMAT || head.version !== VERSION)
    throw new BrownianError("usage", `${path} is no log of brownian evolve that this version reads: give another file.`);
  const generations: LogGeneration[] = [];
  let bytes = Buffer.byteLength(`${lines[0]}\n`);
  for (const [i, line] of lines.slice(1).entries()) {
    const value = parsed(line);
    if (!isGeneration(value)) {
      if (i === lines.length - 2) break;
      throw new BrownianError("usage", `${path} is damaged in line ${i + 2}: cut it before that (brownian evolve-log --cut).`);
    }
    generations.push(value);
    bytes += Buffer.byteLength(`${line}\n`);
  }
  return { log: { head: head as unknown as LogHead, generations }, bytes };
}

/** @throws BrownianError usage where a log is of another model */
export function checkBase({ head }: EvolutionLog, base: FileIdentity, path: string): void {
  if (head.base.sha256 === base.sha256) return;
  throw new BrownianError(
    "usage",
    `${path} is of another base: ${head.base.file} with SHA-256 ${head.base.sha256.slice(0, 16)}..., not ${base.file} with ${base.sha256.slice(0, 16)}...`,
  );
}

/** A log that is written to. */
export class LogFile {
  /**
   * Begins a log, or goes on with the one that is there.
   * @throws BrownianError usage where that is of another model, or was told something else
   */
  static async open(path: string, head: LogHead): Promise<{ file: LogFile; before: readonly LogGeneration[] }> {
    const there = (await stat(path).catch(() => null)) !== null;
    const former = there ? await readWhole(path) : undefined;
    if (former !== undefined) {
      checkBase(former.log, head.base, path);
      const told: Record<string, unknown> = { ...head.moves, ...head.settings };
      const was: Record<string, unknown> = { ...former.log.head.moves, ...former.log.head.settings };
      const names = [...new Set([...Object.keys(told), ...Object.keys(was)])];
      const other = names.filter((name) => JSON.stringify(told[name]) !== JSON.stringify(was[name]));
      if (other.length > 0)
        throw new BrownianError(
          "usage",
          `${path} was begun with other ${other.join(", ")}: leave those as they were, or give another --log.`,
        );
    }
    const handle = await open(path, former === undefined ? "wx" : "r+").catch((error) => {
      throw asFileError(error, path);
    });
    if (former === undefined) await handle.write(`${JSON.stringify(head)}\n`, 0);
    else await handle.truncate(former.bytes);
    const at = former?.bytes ?? (await handle.stat()).size;
    return { file: new LogFile(path, handle, at), before: former?.log.generations ?? [] };
  }

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private at: number,
  ) {}

  /** On the disk when it resolves: what comes after may be killed. */
  async add(generation: LogGeneration): Promise<void> {
    try {
      const line = Buffer.from(`${JSON.stringify(generation)}\n`);
      await this.handle.write(line, 0, line.length, this.at);
      this.at += line.length;
      await this.handle.datasync();
    } catch (error) {
      throw asFileError(error, this.path);
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** The text of a log up to a generation, which is left out, as all after it. */
export function cutLog(log: EvolutionLog, before: number): string {
  const { head, generations } = checkObject("log", log);
  checkInteger("before", before, 0);
  if (!Array.isArray(generations)) throw new BrownianError("usage", "log must be what readLog gives.");
  const kept = generations.filter(({ generation }) => generation < before);
  return [head, ...kept].map((line) => `${JSON.stringify(line)}\n`).join("");
}
