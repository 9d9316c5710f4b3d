// What a long measurement has finished so far, on disk: a line of JSON for each step, written as it ends, so that one that was interrupted can go on;
// removed when the results are there. Every line ends with its own hash: a line that was cut short is left out, one that became another is an error.

import { createHash } from "node:crypto";
import { appendFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "./file-errors.js";
import { readTextFile } from "./text.js";

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
   * What an earlier run was of, if it left something; whoever begins anew must not find one.
   * @throws BrownianError usage where there is one and `resume` is not asked for (or the other way round), and where it is damaged or of another kind
   */
  async former(resume: boolean): Promise<Subject | undefined> {
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
    return there ? (await this.read()).subject : undefined;
  }

  /** Goes on with the file, or makes it. @throws BrownianError as `former`, and usage where it is of something else: names what differs */
  async begin(subject: Subject, resume: boolean): Promise<void> {
    if ((await this.former(resume)) !== undefined) return this.take(JSON.parse(JSON.stringify(subject)) as Subject);
    const head = { format: this.format, version: VERSION, subject };
    await writeFile(this.path, lineOf(head), { flag: "wx" }).catch((error) => Promise.reject(asFileError(error, this.path)));
  }

  /** Keeps the outcome of a step. */
  async add(name: string, outcome: unknown): Promise<void> {
    this.finished.set(name, outcome);
    await appendFile(this.path, lineOf([name, outcome])).catch((error) => Promise.reject(asFileError(error, this.path)));
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private async read() {
    const text = await readTextFile(this.path);
    const refuse = (why: string) => new BrownianError("usage", `${this.path} ${why}: remove it, or give another --output.`);
    const lines = text.split("\n");
    const torn = Buffer.byteLength(lines.pop() as string); // what comes after the last end of line
    const values = lines.map((line, i) => {
      const json = line.slice(0, -HASH - 1);
      if (line.slice(-HASH) !== hashOf(json)) throw refuse(`is damaged in line ${i + 1}`);
      return JSON.parse(json) as unknown;
    });
    const head = values[0] as { format?: unknown; version?: unknown; subject?: Subject } | undefined;
    if (head?.format !== this.format || head.version !== VERSION || head.subject === undefined)
      throw refuse("is nothing that this version goes on with");
    return { subject: head.subject, steps: values.slice(1) as [string, unknown][], whole: Buffer.byteLength(text) - torn, torn };
  }

  private async take(subject: Subject): Promise<void> {
    const { subject: former, steps, whole, torn } = await this.read();
    const [now, before] = [inDetail(subject), inDetail(former)];
    const differing = [...new Set([...Object.keys(now), ...Object.keys(before)])].filter(
      (key) => JSON.stringify(now[key]) !== JSON.stringify(before[key]),
    );
    if (differing.length > 0)
      throw new BrownianError(
        "usage",
        `${this.path} was begun with other ${differing.join(", ")}: go on with the same, or give another --output.`,
      );
    for (const [name, outcome] of steps) this.finished.set(name, outcome);
    if (torn > 0) await truncate(this.path, whole);
  }
}

/** With what is in its objects instead of these, so that what differs is said by its own name. */
function inDetail(subject: Subject): Subject {
  const isPlain = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  return Object.fromEntries(
    Object.entries(subject).flatMap(([name, value]) => (isPlain(value) ? Object.entries(value as object) : [[name, value]])),
  );
}
