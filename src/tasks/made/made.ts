// What a maker of questions is: a pure function of a seed. Each is one file beside this one and one line in index.ts.

import { BrownianError } from "../../errors.js";
import type { Stream } from "../../noise/index.js";

/** A question as a line of a task has it. */
export type Line = Readonly<Record<string, unknown>> & { readonly answer: string | readonly string[]; readonly kind: string };

/** What questions are made from, besides the seed. */
export interface Material {
  /** How many. */
  readonly questions: number;
  /** A text that questions are cut from. */
  readonly text?: string | undefined;
  /** Ask as a chat does, not as a text that goes on. */
  readonly chat: boolean;
}

/** A maker of questions. */
export interface Maker {
  /** One line for help texts. */
  readonly summary: string;
  /** What `text` must be, where it is needed. */
  readonly needs?: string;
  /** @throws BrownianError usage where the material is not what it takes */
  make(dice: Dice, material: Material): Line[];
}

/** Whole numbers from a stream, one after the other. */
export class Dice {
  private at = 0;

  constructor(private readonly stream: Stream) {}

  /** 0 to n - 1. */
  roll(n: number): number {
    const [word] = this.stream.bits(new Uint32Array(1), { index: this.at++ });
    return Math.floor(((word as number) / 2 ** 32) * n);
  }

  /** One of them. */
  pick<T>(from: ArrayLike<T>): T {
    return from[this.roll(from.length)] as T;
  }

  /** The list in another order (Fisher & Yates). */
  shuffled<T>(list: readonly T[]): T[] {
    const all = [...list];
    for (let i = all.length - 1; i > 0; i--) {
      const other = this.roll(i + 1);
      [all[i], all[other]] = [all[other] as T, all[i] as T];
    }
    return all;
  }
}

/** A word of open syllables that no language has to have. */
export function madeUpWord(dice: Dice, syllables: number): string {
  return Array.from({ length: syllables }, () => dice.pick("bdfgklmnprstvz") + dice.pick("aeiou")).join("");
}

/** After so many in a row that were there already, there are no others. */
const MOST_KNOWN = 1000;

/** So many different questions, from what `one` makes. @throws BrownianError usage where it has no more */
export function different(count: number, one: () => Line): Line[] {
  const lines = new Map<string, Line>();
  for (let known = 0; lines.size < count; ) {
    if (known > MOST_KNOWN)
      throw new BrownianError("usage", `There are no ${count} different questions of this kind: ask for ${lines.size} at most.`);
    const { size } = lines;
    const line = one();
    lines.set(JSON.stringify(line.prompt ?? line.messages), line);
    known = lines.size > size ? 0 : known + 1;
  }
  return [...lines.values()];
}

/** A question in one of the two forms. */
export function asked(
  chat: boolean,
  request: string,
  text: string,
): { readonly messages: readonly object[] } | { readonly prompt: string } {
  return chat ? { messages: [{ role: "user", content: request }] } : { prompt: text };
}
