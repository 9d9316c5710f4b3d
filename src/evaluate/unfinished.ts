// What a long measurement has finished so far, on disk: a line of JSON for each step, written as it ends, so that one that was interrupted can go on;
// removed when the results are there. Every line ends with its own hash: a line that was cut short is left out, one that became another is an error.

import { createHash } from "node:crypto";
import { appendFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import { readTextFile } from "../files/text.js";

const VERSION = 1;
/** Letters of the hash at the end of a line. */
const HASH = 16;

/** What is measured, of what: everything that decides the outcomes of steps. */
export type Subject = Readonly<Record<string, unknown>>;

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, HASH);
const lineOf = (value: unknown): string => {
  const text = JSON.stringify(value);
  return `${text} ${hashOf(text)}\n`;
};

/** The file at `path`. */
export class Unfinished {
  /** Outcomes of steps, by name. */
  readonly finished = new Map<string, unknown>();

  /** @param format what kind of measurement it is of */
  constructor(
    readonly path: string,
    private readonly format: string,
  ) {}

  /** Whether there is one. */
  async exists(): Promise<boolean> {
    return (await stat(this.path).catch(() => null)) !== null;
  }

  /**
   * Goes on with the file, or makes it.
   * @throws BrownianError usage where it is of something else, names what differs, or where there is one and `resume` is not asked for (or the other
   * way round)
   */
  async begin(subject: Subject, resume: boolean): Promise<void> {
    const there = await this.exists();
    if (there && !resume)
      throw new BrownianError(
        "usage",
        `${this.path} has what an interrupted run had finished: go on with --resume, or remove it, or give another --output.`,
      );
    if (!there && resume)
      throw new BrownianError(
        "usage",
        `There is no ${this.path} to go on with: leave out --resume, or say which --output it was.`,
      );
    const head = { format: this.format, version: VERSION, subject };
    if (!there)
      return writeFile(this.path, lineOf(head), { flag: "wx" }).catch((error) => Promise.reject(asFileError(error, this.path)));
    await this.take(JSON.parse(JSON.stringify(subject)) as Subject);
  }

  /** Keeps the outcome of a step. */
  async add(name: string, outcome: unknown): Promise<void> {
    this.finished.set(name, outcome);
    await appendFile(this.path, lineOf([name, outcome])).catch((error) => Promise.reject(asFileError(error, this.path)));
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private async take(subject: Subject): Promise<void> {
    const text = await readTextFile(this.path);
    const refuse = (why: string) => new BrownianError("usage", `${this.path} ${why}: remove it, or give another --output.`);
    const lines = text.split("\n");
    const torn = lines.pop() as string; // what comes after the last end of line
    const values = lines.map((line, i) => {
      const json = line.slice(0, -HASH - 1);
      if (line.slice(-HASH) !== hashOf(json)) throw refuse(`is damaged in line ${i + 1}`);
      return JSON.parse(json) as unknown;
    });
    const head = values[0] as { format?: unknown; version?: unknown; subject?: Subject } | undefined;
    if (head?.format !== this.format || head.version !== VERSION || head.subject === undefined)
      throw refuse("is nothing that this version goes on with");
    const differing = [...new Set([...Object.keys(subject), ...Object.keys(head.subject)])].filter(
      (key) => JSON.stringify(subject[key]) !== JSON.stringify(head.subject?.[key]),
    );
    if (differing.length > 0)
      throw new BrownianError(
        "usage",
        `${this.path} was begun with other ${differing.join(", ")}: go on with the same, or give another --output.`,
      );
    for (const [name, outcome] of values.slice(1) as [string, unknown][]) this.finished.set(name, outcome);
    if (torn !== "") await truncate(this.path, Buffer.byteLength(text) - Buffer.byteLength(torn));
  }
}
