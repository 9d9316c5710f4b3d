// What logs of searches have in common: a line of JSON on what a search is of and how, then one a generation, each on the disk before the search goes
// on. A search that was ended goes on from its log, if it is of the same model and was told the same. What a line says is each kind's own.

import { type FileHandle, open, stat } from "node:fs/promises";
import { BrownianError, checkInteger, checkObject } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import type { FileIdentity } from "../files/identity.js";
import { readTextFile } from "../files/text.js";

/** What every first line has. */
export interface Head {
  readonly format: string;
  readonly version: number;
  /** Of the model that it is a search on. */
  readonly base: FileIdentity;
}

/** What every other line has. */
export interface Line {
  /** From 0. */
  readonly generation: number;
}

/** A log as it was read. */
export interface Log<H extends Head, G extends Line> {
  readonly head: H;
  readonly generations: readonly G[];
}

/** A kind of search that keeps a log. */
export interface LogKind<H extends Head, G extends Line> {
  readonly format: H["format"];
  readonly version: H["version"];
  /** Which writes it. */
  readonly command: string;
  /** Whether a line is a whole one of its own. */
  isGeneration(value: Readonly<Record<string, unknown>>): boolean;
  /** By name, what a search that goes on must be told as it was. */
  told(head: H): Readonly<Record<string, unknown>>;
  /** What such a line is: a type alone. */
  readonly line?: G;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * A log of one of these kinds. A last line that is not whole, as after a crash, is left out.
 * @throws BrownianError file-not-found, file-access; usage for what is no such log, or is damaged before its last line
 */
export async function readLogOf<H extends Head, G extends Line>(
  kinds: readonly LogKind<H, G>[],
  path: string,
): Promise<Log<H, G>> {
  return (await readWhole(kinds, path)).log;
}

async function readWhole<H extends Head, G extends Line>(kinds: readonly LogKind<H, G>[], path: string) {
  const text = await readTextFile(path);
  const lines = text.split("\n");
  lines.pop(); // a line has an end
  const head = parsed(lines[0] ?? "");
  const kind = kinds.find(({ format, version }) => head?.format === format && head.version === version);
  if (kind === undefined) {
    const commands = kinds.map(({ command }) => command).join(" or ");
    throw new BrownianError("usage", `${path} is no log of ${commands} that this version reads: give another file.`);
  }
  const generations: G[] = [];
  let bytes = Buffer.byteLength(`${lines[0]}\n`);
  for (const [i, line] of lines.slice(1).entries()) {
    const value = parsed(line);
    if (value === undefined || !Number.isInteger(value.generation) || !kind.isGeneration(value)) {
      if (i === lines.length - 2) break;
      throw new BrownianError("usage", `${path} is damaged in line ${i + 2}: remove that line, and those after it.`);
    }
    generations.push(value as unknown as G);
    bytes += Buffer.byteLength(`${line}\n`);
  }
  return { log: { head: head as unknown as H, generations }, kind, bytes };
}

/** @throws BrownianError usage where a log is of another model */
export function checkBase({ head }: Log<Head, Line>, base: FileIdentity, path: string): void {
  if (head.base.sha256 === base.sha256) return;
  throw new BrownianError(
    "usage",
    `${path} is of another base: ${head.base.file} with SHA-256 ${head.base.sha256.slice(0, 16)}..., not ${base.file} with ${base.sha256.slice(0, 16)}...`,
  );
}

/** Names of what searches were not told alike. */
export function toldApart(told: readonly Readonly<Record<string, unknown>>[]): string[] {
  const names = [...new Set(told.flatMap((one) => Object.keys(one)))];
  return names.filter((name) => new Set(told.map((one) => JSON.stringify(one[name]))).size > 1);
}

/** A log that is written to. */
export class LogFile<G extends Line> {
  /**
   * Begins a log, or goes on with the one that is there.
   * @throws BrownianError usage where that is of another model, or was told something else
   */
  static async open<H extends Head, G extends Line>(
    kind: LogKind<H, G>,
    path: string,
    head: H,
  ): Promise<{ file: LogFile<G>; before: readonly G[] }> {
    const there = (await stat(path).catch(() => null)) !== null;
    const former = there ? await readWhole([kind], path) : undefined;
    if (former !== undefined) {
      checkBase(former.log, head.base, path);
      const other = toldApart([kind.told(head), kind.told(former.log.head)]);
      if (other.length > 0)
        throw new BrownianError(
          "usage",
          `${path} was begun with other ${other.join(", ")}: leave those as they were, or give another --log.`,
        );
    }
    const handle = await open(path, former === undefined ? "wx" : "r+").catch((error) => {
      throw asFileError(error, path);
    });
    try {
      if (former === undefined) await handle.write(`${JSON.stringify(head)}\n`, 0);
      else await handle.truncate(former.bytes);
      const at = former?.bytes ?? (await handle.stat()).size;
      return { file: new LogFile<G>(path, handle, at), before: former?.log.generations ?? [] };
    } catch (error) {
      await handle.close();
      throw asFileError(error, path);
    }
  }

  private constructor(
    readonly path: string,
    private readonly handle: FileHandle,
    private at: number,
  ) {}

  /** On the disk when it resolves: what comes after may be killed. */
  async add(generation: G): Promise<void> {
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
export function cutLog(
  log: { readonly head: object; readonly generations: readonly { readonly generation: number }[] },
  before: number,
): string {
  const { head, generations } = checkObject("log", log);
  checkInteger("before", before, 0);
  if (!Array.isArray(generations)) throw new BrownianError("usage", "log must be what readLog gives.");
  const kept = generations.filter(({ generation }) => generation < before);
  return [head, ...kept].map((line) => `${JSON.stringify(line)}\n`).join("");
}
