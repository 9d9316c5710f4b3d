// What is said about texts: how much of them is new, how alike they are, how often they repeat themselves. Pure functions of tokens (any
// numbers; words would do as well). Sets of texts are compared only with sets of as many texts of the same length.

import { BrownianError, checkFunction, checkInteger, checkText, shown } from "../errors.js";

/** A text as tokens. */
export type Tokens = readonly number[];

/** The n-grams of texts, counted once so that figures of many choices of the texts cost little. */
export interface Counted {
  /** Tokens of each text. */
  readonly lengths: readonly number[];
  /** Orders 1, 2, ...: of each text its different n-grams, by number, and how often each occurs in it. */
  readonly orders: readonly {
    readonly different: number;
    readonly texts: readonly { readonly grams: Uint32Array; readonly counts: Uint32Array }[];
  }[];
}

/** Of n-grams: longer ones are whole texts. */
const MOST_ORDER = 1000;

function checkTexts(texts: readonly Tokens[]): void {
  for (const text of checkArrayOf("texts", texts)) checkArrayOf("A text", text);
}

function checkArrayOf<T>(what: string, list: readonly T[]): readonly T[] {
  if (Array.isArray(list)) return list;
  throw new BrownianError("usage", `${what} must be an array, but is ${shown(list)}.`);
}

/** Counts the 1- to `order`-grams of texts. */
export function counted(texts: readonly Tokens[], order = 4): Counted {
  const orders = Array.from({ length: order }, (_, i) => {
    const numbers = new Map<string, number>();
    const each = texts.map((text) => {
      const own = new Map<number, number>();
      for (let at = 0; at + i < text.length; at++) {
        const gram = text.slice(at, at + i + 1).join(" ");
        const number = numbers.get(gram) ?? numbers.size;
        numbers.set(gram, number);
        own.set(number, (own.get(number) ?? 0) + 1);
      }
      return { grams: Uint32Array.from(own.keys()), counts: Uint32Array.from(own.values()) };
    });
    return { different: numbers.size, texts: each };
  });
  return { lengths: texts.map((text) => text.length), orders };
}

/**
 * distinct-n (Li et al. 2016): different n-grams / all n-grams, over all texts together. 1 where none occurs twice.
 * @throws BrownianError usage where no text has n tokens
 *
 * @example
 * distinct([[1, 2, 1], [1, 2, 3]], 2); // (1 2), (2 1), (2 3) of four: 0.75
 */
export function distinct(texts: readonly Tokens[], n: number): number {
  checkTexts(texts);
  checkInteger("n", n, 1, MOST_ORDER);
  return distinctOf(counted(texts, n), n, texts.keys());
}

/** {@link distinct} of some of the texts, by number. */
export function distinctOf({ orders, lengths }: Counted, n: number, chosen: Iterable<number>): number {
  const order = orders[n - 1] as Counted["orders"][number];
  const seen = new Uint8Array(order.different);
  let different = 0;
  let all = 0;
  for (const i of chosen) {
    all += Math.max(0, (lengths[i] as number) - n + 1);
    for (const gram of order.texts[i]?.grams ?? []) {
      different += 1 - (seen[gram] as number);
      seen[gram] = 1;
    }
  }
  if (all === 0) throw new BrownianError("usage", `No text has ${n} tokens, so there is no ${n}-gram to count.`);
  return different / all;
}

/**
 * rep-n of one text (Welleck et al. 2020, "seq-rep-n"): 1 - different n-grams / all n-grams within the text. 0 where it never repeats itself.
 * @throws BrownianError usage where the text has fewer than n tokens
 *
 * @example
 * repetition([1, 2, 1, 2, 1], 2); // (1 2), (2 1) of four: 0.5
 */
export function repetition(text: Tokens, n = 4): number {
  return 1 - distinct([text], n);
}

/** What a count of matches that is 0 counts instead: method 1 of Chen & Cherry (2014), as in Texygen. */
const UNMATCHED = 0.1;

/**
 * Self-BLEU (Zhu et al. 2018): the mean over texts of the BLEU of a text against all others. BLEU (Papineni et al. 2002) is the geometric mean of
 * the clipped precisions of 1- to `order`-grams, times min(1, e^(1 - r/c)) for texts of c tokens whose closest reference has r. A count of matches
 * that is 0 is taken as 0.1. 1: all texts are the same; the lower, the more diverse. It rises with the number of texts.
 * @throws BrownianError usage for fewer than two texts, or one with fewer than `order` tokens
 *
 * @example
 * selfBleu([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]); // 1
 */
export function selfBleu(texts: readonly Tokens[], order = 4): number {
  checkTexts(texts);
  checkInteger("order", order, 1, MOST_ORDER);
  return selfBleuOf(counted(texts, order), [...texts.keys()]);
}

/** {@link selfBleu} of some of the texts, by number, each at most once. */
export function selfBleuOf({ orders, lengths }: Counted, chosen: ArrayLike<number>): number {
  const texts = Array.from(chosen);
  if (texts.length < 2)
    throw new BrownianError("usage", `Self-BLEU compares texts with each other, but there are ${texts.length}.`);
  const logs = texts.map((i) => brevity(i, texts, lengths));
  for (const order of orders) {
    // Of every n-gram: its largest count in a text, which text that is, and the largest count in any other.
    const largest = new Uint32Array(order.different);
    const where = new Int32Array(order.different).fill(-1);
    const second = new Uint32Array(order.different);
    for (const i of texts) {
      const { grams, counts } = order.texts[i] as { grams: Uint32Array; counts: Uint32Array };
      for (let g = 0; g < grams.length; g++) {
        const gram = grams[g] as number;
        const count = counts[g] as number;
        if (count > (largest[gram] as number)) {
          second[gram] = largest[gram] as number;
          largest[gram] = count;
          where[gram] = i;
        } else if (count > (second[gram] as number)) second[gram] = count;
      }
    }
    for (const [t, i] of texts.entries()) {
      const { grams, counts } = order.texts[i] as { grams: Uint32Array; counts: Uint32Array };
      let matches = 0;
      let all = 0;
      for (let g = 0; g < grams.length; g++) {
        const gram = grams[g] as number;
        const count = counts[g] as number;
        all += count;
        matches += Math.min(count, (where[gram] === i ? second[gram] : largest[gram]) as number);
      }
      if (all === 0) throw new BrownianError("usage", `Text ${i} has fewer than ${orders.length} tokens, which self-BLEU needs.`);
      logs[t] = (logs[t] as number) + Math.log((matches || UNMATCHED) / all) / orders.length;
    }
  }
  return logs.reduce((sum, log) => sum + Math.exp(log), 0) / texts.length;
}

/** ln of BLEU's penalty for texts that are shorter than the reference of the closest length (the shorter of two that are as close). */
function brevity(i: number, texts: readonly number[], lengths: readonly number[]): number {
  const own = lengths[i] as number;
  let closest = Number.POSITIVE_INFINITY;
  for (const j of texts) {
    const other = lengths[j] as number;
    const nearer = Math.abs(other - own) - Math.abs(closest - own);
    if (j !== i && (nearer < 0 || (nearer === 0 && other < closest))) closest = other;
  }
  return Math.min(0, 1 - closest / own);
}

/**
 * Compression ratio (Shaib et al. 2024): bytes of the texts, one a line, / bytes that `deflate` makes of them. The higher, the more alike.
 * @param deflate such as zlib's `(bytes) => deflateSync(bytes, { level: 9 })`
 *
 * @example
 * compressionRatio(["the king", "the king"], (bytes) => deflateSync(bytes, { level: 9 }));
 */
export function compressionRatio(texts: readonly string[], deflate: (bytes: Uint8Array) => Uint8Array): number {
  for (const text of checkArrayOf("texts", texts)) checkText("A text", text);
  checkFunction("deflate", deflate);
  const bytes = new TextEncoder().encode(texts.join("\n"));
  if (bytes.length === 0) throw new BrownianError("usage", "There is no text to be compressed.");
  return bytes.length / checkInteger("The length of what deflate returns", deflate(bytes)?.length, 1);
}
