// What a comparison has finished so far, on disk: written whole after every step, so that one that was interrupted can go on; removed when the
// results are there.

import { createHash } from "node:crypto";
import { rm, stat, writeFile } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { writeWhole } from "../files/index.js";
import { readTextFile } from "../files/text.js";
import type { Profile } from "../statistics/calibration.js";
import type { ComparisonSettings } from "./records.js";

const FORMAT = "brownian-comparison-unfinished";
const VERSION = 2;
const CHECK = ',\n"check": ';

/** The end of a file: SHA-256 of all before. */
const checkOf = (all: string): string => `${CHECK}"${createHash("sha256").update(all).digest("hex")}"}\n`;

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What a comparison is of, and how. */
export interface Subject {
  readonly settings: ComparisonSettings;
  /** SHA-256 of each. */
  readonly model: string;
  readonly text: string;
  readonly calibration: string;
}

export function subjectOf(settings: ComparisonSettings, text: string, profile: Profile): Subject {
  const hash = (of: string) => createHash("sha256").update(of).digest("hex");
  return { settings, model: profile.model.sha256, text: hash(text), calibration: hash(JSON.stringify(profile)) };
}

/** What an earlier run left. */
export interface Former extends Subject {
  readonly finished: Readonly<Record<string, unknown>>;
}

/** The file at `path`, of a comparison of the model file `model`. */
export class Unfinished {
  /** Outcomes of steps, by name. */
  readonly finished = new Map<string, unknown>();
  /** As JSON, so that a step costs the writing of its file and no more. */
  private readonly lines: string[] = [];
  private head = "";

  constructor(
    readonly path: string,
    private readonly model: string,
  ) {}

  /** How many texts are finished. */
  get texts(): number {
    return [...this.finished.keys()].filter((name) => name.startsWith("text ")).length;
  }

  /** What an earlier run left, if there is something. @throws BrownianError usage where it is something else */
  async read(): Promise<Former | undefined> {
    if ((await stat(this.path).catch(() => null)) === null) return undefined;
    const text = await readTextFile(this.path);
    const refused = (why: string) => new BrownianError("usage", `${this.path} ${why}: remove it, or give another --output.`);
    const end = text.lastIndexOf(CHECK);
    // As it was written, to the last letter: a number that became another would be a result.
    const whole = end > 0 && text.slice(end) === checkOf(text.slice(0, end));
    const { format, version, ...former } = (parsed(text) ?? {}) as Partial<Former> & { format?: unknown; version?: unknown };
    if (format !== undefined && (format !== FORMAT || version !== VERSION))
      throw refused("is no comparison that this version goes on with");
    if (!whole) throw refused(format === undefined ? "is no comparison that can be gone on with" : "is damaged");
    return former as Former;
  }

  /** Takes over what `former` had finished, and writes the file for the first time. @throws BrownianError usage where that was of something else */
  async begin(now: Subject, former: Former | undefined): Promise<void> {
    this.head = JSON.stringify({ format: FORMAT, version: VERSION, ...now }).slice(0, -1);
    if (former !== undefined) {
      this.checkSame(now, former);
      for (const [name, outcome] of Object.entries(former.finished)) this.take(name, outcome);
    }
    await this.write();
  }

  async add(name: string, outcome: unknown): Promise<void> {
    this.take(name, outcome);
    await this.write();
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }

  private checkSame(now: Subject, former: Subject): void {
    for (const key of ["model", "text", "calibration"] as const)
      if (former[key] !== now[key])
        throw new BrownianError(
          "usage",
          `${this.path} was begun with another ${key}: go on with the same, or give another --output.`,
        );
    const differing = Object.entries(now.settings).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(Reflect.get(former.settings, name)),
    );
    if (differing.length > 0)
      throw new BrownianError(
        "usage",
        `${this.path} was begun with other ${differing.map(([name]) => name).join(", ")}: leave those options out, or give another --output.`,
      );
  }

  private take(name: string, outcome: unknown): void {
    this.finished.set(name, outcome);
    this.lines.push(`${JSON.stringify(name)}: ${JSON.stringify(outcome)}`);
  }

  private async write(): Promise<void> {
    const all = `${this.head},\n"finished": {\n${this.lines.join(",\n")}\n}`;
    await writeWhole(this.path, this.model, (partial) => writeFile(partial, all + checkOf(all)));
  }
}
