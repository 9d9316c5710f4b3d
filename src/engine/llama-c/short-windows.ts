// Many short texts that are each read for themselves: several are sequences of one batch, in a context of their own that is made when the first come.
// Every sequence has a cache of its own, so that rows are rounded as they are alone wherever the types that the model has allow it
// (docs/guides/engine.md). For texts of 32 tokens and more it brings nothing: the processor computes, it does not wait for weights.

import { BrownianError } from "../../errors.js";
import { type Asked, type Expectation, type Kept, Reading } from "../expectation.js";
import type { ShortTexts } from "../interface.js";
import type { ModelFacts } from "./addon.js";
import type { Decoder } from "./decoder.js";
import { forget, type Part, readParts, type Said } from "./parts.js";

/** Tokens of a text that is short: fewer than these are computed. */
const SHORT = 32;
/** Texts at once, at most. */
const MOST = 16;
/** Tokens that llama.cpp has room for in every cache, at least. */
export const CELLS = 256;
/** Bytes of all caches, and of a batch's logits, at most. */
const CACHE_BYTES = 2 ** 27;
const LOGIT_BYTES = 2 ** 26;
/** Keys and values, of 16 bits each. */
const BYTES_A_NUMBER = 2 * 2;

/** How much of it there is room for: what the caches hold is taken for the most that a model of this size can have. */
export function roomFor({ layers, width, vocabulary, recurrent, hybrid }: ModelFacts): { texts: number; batch: number } {
  // States of recurrent models are as large for short texts as for long ones.
  const texts = recurrent || hybrid ? 0 : Math.min(MOST, Math.floor(CACHE_BYTES / (layers * width * BYTES_A_NUMBER * CELLS)));
  const batch = Math.min(MOST * (SHORT - 1), Math.floor(LOGIT_BYTES / (4 * vocabulary)));
  return { texts, batch };
}

export class ShortWindows implements ShortTexts {
  private made: Promise<Decoder> | undefined;
  /** What several references are copied into, one after the other. */
  private together: Float32Array | undefined;
  private logitsAfter: Float32Array | undefined;

  constructor(
    private readonly room: { readonly texts: number; readonly batch: number },
    private readonly vocabulary: number,
    private readonly make: () => Promise<Decoder>,
  ) {}

  fitting(texts: readonly (readonly number[])[], first: number): number {
    let [count, tokens] = [0, 0];
    while (count < this.room.texts && first + count < texts.length) {
      const length = (texts[first + count] as readonly number[]).length - 1;
      tokens += length;
      if (length >= SHORT || tokens > this.room.batch) break;
      count++;
    }
    return Math.max(1, count);
  }

  async score(
    texts: readonly (readonly number[])[],
    asked: readonly Asked[],
    visit: (text: number, i: number, expected: Expectation) => void,
    signal?: AbortSignal,
  ): Promise<(Kept | undefined)[]> {
    this.made ??= this.make();
    const decoder = await this.made.catch((error) => {
      this.made = undefined;
      throw error;
    });
    const parts = texts.map((tokens, sequence): Part => {
      const from = asked[sequence]?.from ?? 0;
      return { tokens, sequence, first: 0, end: Math.max(0, tokens.length - 1), from };
    });
    const outputs = parts.map(({ end, from }) => Math.max(0, end - from));
    const begins = outputs.map((_, text) => outputs.slice(0, text).reduce((sum, count) => sum + count, 0));
    const rows = outputs.reduce((sum, count) => sum + count, 0);
    const { vocabulary } = this;
    const keep = asked.some((one) => one.keep) ? new Float32Array(rows * vocabulary) : undefined;
    const readings = asked.map((one, text) => {
      const [begin, count] = [begins[text] as number, outputs[text] as number];
      return new Reading(one, count, vocabulary, keep?.subarray(begin * vocabulary, (begin + count) * vocabulary));
    });
    const reference = this.references(asked, begins, rows);
    const tell = ({ sequence, from }: Part, at: number, { numbers, likeliest, place }: Said) => {
      const reading = readings[sequence] as Reading;
      const own = numbers.subarray(0, reading.width);
      visit(
        sequence,
        at,
        reading.expectation(at - from, own, likeliest, () => this.logitsOf(decoder, place)),
      );
    };
    const read = async () => {
      forget(decoder);
      await readParts(decoder, parts, { betas: readings[0]?.betas, reference, keep }, tell, signal);
      forget(decoder);
    };
    await decoder.exclusive(() => decoder.interruptible(read, signal));
    return readings.map(({ kept }) => kept);
  }

  async dispose(): Promise<void> {
    const decoder = await this.made?.catch(() => undefined);
    decoder?.context.free();
  }

  /** What texts are compared with, as the rows of one array; undefined where nothing is. */
  private references(asked: readonly Asked[], begins: readonly number[], rows: number): Float32Array | undefined {
    if (asked.every((one) => one.reference === undefined)) return undefined;
    const length = rows * this.vocabulary;
    if (this.together === undefined || this.together.length < length) this.together = new Float32Array(length);
    for (const [text, { reference }] of asked.entries()) {
      if (reference === undefined) continue;
      const [begin, end] = [begins[text] as number, begins[text + 1] ?? rows];
      if (reference.logits.length !== (end - begin) * this.vocabulary)
        throw new BrownianError(
          "usage",
          "A window is compared with one of another length: a reference has the windows that are read.",
        );
      this.together.set(reference.logits, begin * this.vocabulary);
    }
    return this.together;
  }

  private logitsOf(decoder: Decoder, place: number): Float32Array {
    this.logitsAfter ??= new Float32Array(this.vocabulary);
    return decoder.context.logits(place, this.logitsAfter);
  }
}
