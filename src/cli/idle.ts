// Options that cannot act where they are given: each command has a table of them, and says so on stderr. What contradicts another option is an
// error where it is checked; these are only without effect.

import type { Command } from "commander";
import { DYNAMICS, type DynamicsName, dependsOnTau } from "../thermostat/dynamics/index.js";

/** Flags that do nothing where a condition holds. */
export interface Idle<Options> {
  /** By the names that their values have. */
  readonly names: readonly (keyof Options & string)[];
  readonly when: (options: Options) => boolean;
  /** Half a sentence after "no effect". */
  readonly why: string | ((options: Options) => string);
}

/** Lines on the flags of a command line that cannot act. */
export function idleLines<Options>(command: Command, options: Options, rules: readonly Idle<Options>[]): string[] {
  return rules.flatMap(({ names, when, why }) => {
    const given = names.filter((name) => command.getOptionValueSource(name) === "cli");
    if (given.length === 0 || !when(options)) return [];
    const flags = given.map((name) => command.options.find((option) => option.attributeName() === name)?.long).join(", ");
    return [`${flags}: no effect ${typeof why === "string" ? why : why(options)}`];
  });
}

/** The options without those that cannot act, their defaults among them: for calls that refuse what they could not heed. */
export function acting<Options>(options: Options, rules: readonly Idle<Options>[]): Options {
  const idle = new Set<string>(rules.flatMap(({ names, when }) => (when(options) ? names : [])));
  return Object.fromEntries(Object.entries(options as object).filter(([name]) => !idle.has(name))) as Options;
}

interface Moving {
  readonly dynamics: DynamicsName;
  readonly tau?: number | undefined;
}

/** Of all commands with a dynamics. */
export const IDLE_TAU: Idle<Moving> = {
  names: ["tau"],
  when: ({ dynamics }) => dynamics in DYNAMICS && !dependsOnTau(DYNAMICS[dynamics]),
  why: ({ dynamics }) => `with the dynamics ${dynamics}, which has no correlation time`,
};

/** Of those whose weights are at rest while a text is written. */
export const atRest = ({ dynamics }: Moving): boolean => !DYNAMICS[dynamics].moves;
