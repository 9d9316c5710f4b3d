// The table of makers of questions: one line each.

import { BrownianError, checkInteger, checkText } from "../../errors.js";
import { Noise, type Seed, seed64 } from "../../noise/index.js";
import { checkOptions, type Names } from "../../options.js";
import { arithmetic } from "./arithmetic.js";
import { cloze } from "./cloze.js";
import { copying } from "./copying.js";
import { countries } from "./countries.js";
import { Dice, type Maker } from "./made.js";
import { spelling } from "./spelling.js";

/** Makers of questions, by name. */
export const MAKERS = { arithmetic, spelling, copying, cloze, countries } as const satisfies Record<string, Maker>;

/** A name of the table {@link MAKERS}. */
export type MakerName = keyof typeof MAKERS;

/** How questions are made. */
export interface MakeOptions {
  /** Default 200; of countries all. */
  readonly questions?: number | undefined;
  /** Default 0. */
  readonly seed?: Seed | undefined;
  /** Of makers that need one. */
  readonly text?: string | undefined;
  /** Ask as a chat does; default false: a text that goes on, as models without a chat template can. */
  readonly chat?: boolean | undefined;
}

const NAMES: Names<MakeOptions> = { questions: true, seed: true, text: true, chat: true };

/**
 * A task as text, one question a line: what `parseTask` reads. Equal options give equal texts.
 * @throws BrownianError usage for a name that is none, and what the maker does not take
 *
 * @example
 * const task = parseTask(makeTask("arithmetic", { questions: 50, seed: 1n }), "sums");
 */
export function makeTask(name: string, options: MakeOptions = {}): string {
  const { questions, seed = 0, text, chat = false } = checkOptions("makeTask", options, NAMES);
  if (text !== undefined) checkText("text", text);
  checkText("name", name);
  if (!Object.hasOwn(MAKERS, name))
    throw new BrownianError("usage", `Questions are made of ${Object.keys(MAKERS).join(", ")}, but not of "${name}".`);
  const maker: Maker = MAKERS[name as MakerName];
  if (maker.needs !== undefined && text === undefined)
    throw new BrownianError("usage", `Questions of ${name} are made from a text (${maker.needs}): name its file with --from.`);
  const count = checkInteger("questions", questions ?? (name === "countries" ? 1_000_000 : 200), 1, 1_000_000);
  const dice = new Dice(new Noise(seed64(seed)).stream(`task ${name}`));
  return `${maker
    .make(dice, { questions: count, text, chat })
    .map((line) => JSON.stringify(line))
    .join("\n")}\n`;
}
