// Options that callers name: those that nobody knows are errors with the name that was most likely meant, since an option that is silently dropped is
// another result than the one that was asked for. Rests on errors only.

import { BrownianError, checkFunction, checkObject, shown } from "./errors.js";

/** The names of the options of `T`, all of them: a name that is missing or too many does not compile. */
export type Names<T> = { readonly [Name in keyof T]-?: true };

/**
 * `options`, if they are an object of known names.
 * @param of whose options they are, as the caller knows it
 * @throws BrownianError usage
 */
export function checkOptions<T extends object>(of: string, options: T, names: Names<NoInfer<T>>): T {
  if (typeof options !== "object" || options === null) checkObject(`The options of ${of}`, options);
  if (!hasNames(options))
    throw new BrownianError("usage", `The options of ${of} must be named values, but are ${shown(options)}.`);
  const { signal, onProgress } = options as Calls;
  if (signal !== undefined || onProgress !== undefined) checkCalls(signal, onProgress);
  // A value that is undefined says nothing.
  for (const name in options) if (names[name] !== true && options[name] !== undefined) refuse(of, name, names);
  return options;
}

const TypedArray = Object.getPrototypeOf(Uint8Array) as new () => object;

/** Numbers in a row have none, nor has what only has their prototype, or is a proxy of them. */
const hasNames = (options: object): boolean => !(options instanceof TypedArray);

/** What any options may have for the time that a call takes. */
interface Calls {
  readonly signal?: unknown;
  readonly onProgress?: unknown;
}

function checkCalls(signal: unknown, onProgress: unknown): void {
  if (signal !== undefined) checkSignal(signal);
  if (onProgress !== undefined) checkFunction("onProgress", onProgress);
}

/** Throws a `usage` error unless this is an AbortSignal, of whichever realm. */
export function checkSignal(signal: unknown): void {
  const { throwIfAborted, addEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (typeof throwIfAborted === "function" && typeof addEventListener === "function") return;
  throw new BrownianError("usage", `signal must be an AbortSignal, but is ${shown(signal)}.`);
}

function refuse(of: string, name: string, known: object): never {
  const names = Object.keys(known);
  throw new BrownianError(
    "usage",
    `${of} has no option ${JSON.stringify(name.slice(0, 100))}: the nearest is ${nearest(name, names)}. It has ${names.join(", ")}.`,
  );
}

/** Edits that make one text of the other (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(
        (row[j] as number) + 1,
        (next[j - 1] as number) + 1,
        (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1),
      );
    row = next;
  }
  return row[b.length] as number;
}

/** The nearest of some names. Case and separators do not count: maxTokens is max_tokens. */
export function nearest(name: string, names: readonly string[]): string {
  const bare = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const given = bare(name.slice(0, 100));
  return names.reduce((best, one) => (distance(given, bare(one)) < distance(given, bare(best)) ? one : best));
}
