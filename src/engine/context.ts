// How many tokens of context a model gets: one rule for all engines.

import { BrownianError } from "../errors.js";

/** Tokens, unless more or fewer are asked for: what a model was trained on may take gigabytes. */
const DEFAULT_CONTEXT = 4096;

/** The context of a model that was trained on so many tokens. @throws BrownianError usage where more are asked for */
export function contextSizeOf(trained: number, name: string, asked: number | undefined): number {
  if (asked === undefined) return Math.min(trained, DEFAULT_CONTEXT);
  if (asked <= trained) return asked;
  throw new BrownianError("usage", `contextSize is ${asked}, but ${name} was trained on ${trained} tokens of context.`);
}
