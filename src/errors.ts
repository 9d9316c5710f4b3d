// The one error class of the library. Everything else may import it; it imports nothing.

/**
 * What went wrong, as a word that programs can rely on. `usage` errors are the caller's (exit code 2 of the command line);
 * all others are failures of the run (exit code 1).
 */
export type ErrorCode =
  | "usage" // an argument is missing, malformed or out of range
  | "file-not-found"
  | "file-access" // exists, but cannot be read or written
  | "not-gguf"
  | "truncated-gguf"
  | "file-changed" // a file was written to, cut short or exchanged while it was open
  | "corrupt-gguf" // parses, but contradicts itself
  | "unsupported-type"
  | "no-such-tensor"
  | "output-exists" // output equals input
  | "no-space"
  | "download-failed" // a server refused, broke off, or sent something else than was asked for
  | "backend-unavailable"
  | "package-missing" // an optional package is not installed
  | "engine-missing"
  | "no-language-model" // a file that no text can be written with: an adapter, an encoder, one without a vocabulary
  | "engine-failed"
  | "endpoint-failed" // a server did not answer, or not as its protocol says
  | "autodiff-missing"
  | "reward-failed" // a reward of the user's own: it died, was late, or gave no number
  | "diverged" // training that no longer makes numbers
  | "not-live" // the engine does not see writes to the live file
  | "closed"
  | "aborted";

/** What marks our errors in all copies of the library: a process may have an ES module, a CommonJS copy and brownian/web. */
const MARK = Symbol.for("brownian.BrownianError");

/**
 * An error whose message is written for the person who reads it: what, where, and what to do now. `instanceof` knows those of every copy.
 *
 * @example
 * try { perturb(new Uint8Array(3), { type: "Q8_0", sigma: 0.1, seed: 1n }); } // no whole block
 * catch (error) { if (error instanceof BrownianError) console.log(error.code, error.message); } // usage ...
 */
export class BrownianError extends Error {
  /** Always "BrownianError". */
  override readonly name = "BrownianError";
  /** What went wrong, for programs. */
  readonly code: ErrorCode;

  /** Whether `value` is an error of this library, of whichever copy of it in the process. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === "object" && value !== null && MARK in value;
  }

  /** @internal what `instanceof` looks for */
  get [MARK](): true {
    return true;
  }

  /**
   * @param code what went wrong, for programs
   * @param message the same for people: what, where, and what to do now
   * @param options `cause`: the error that led to this one
   */
  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(visible(typeof message === "string" ? message : shown(message)), options); // names and texts of files are in it
    this.code = code;
  }
}

/** Throws a `usage` error unless `value` is a finite number in [min, max]. `what` names the argument as the caller wrote it. */
export function checkNumber(what: string, value: unknown, min: number, max = Number.MAX_VALUE): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) refuseNumber(what, value, min, max);
  return value;
}

// Apart, so that the checks are small enough to be compiled into their callers.
function refuseNumber(what: string, value: unknown, min: number, max: number): never {
  const range = max === Number.MAX_VALUE ? `a finite number, at least ${min}` : `a number from ${min} to ${max}`;
  throw new BrownianError("usage", `${what} must be ${range}, but is ${shown(value)}.`);
}

function refuseOther(what: string, is: string, value: unknown): never {
  throw new BrownianError("usage", `${what} must be ${is}, but is ${shown(value)}.`);
}

/** Numbers above 0, none below the one before it. */
export function checkRising(what: string, values: readonly unknown[]): void {
  values.forEach((value, i) => {
    const before = values[i - 1] as number;
    checkNumber(i === 0 ? what : `The one of ${what} after ${before} (they rise)`, value, i === 0 ? 1e-6 : before);
  });
}

/** Like {@link checkNumber}, for whole numbers. */
export function checkInteger(what: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isInteger(value)) refuseOther(what, "a whole number", value);
  return checkNumber(what, value, min, max);
}

/** Throws a `usage` error unless `value` is one of `choices`. */
export function checkChoice<T extends string>(what: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) refuseOther(what, `one of ${choices.join(", ")}`, value);
  return value as T;
}

/** Throws a `usage` error unless `value` is a text. */
export function checkText(what: string, value: unknown): string {
  if (typeof value !== "string") refuseOther(what, "a text", value);
  return value;
}

/** Throws a `usage` error unless `value` is an object (of options, say). */
export function checkObject<T>(what: string, value: T): T & object {
  if (typeof value !== "object" || value === null) refuseOther(what, "an object", value);
  return value;
}

/** Throws a `usage` error unless `value` is a list: an array, or another object that has a length and elements. */
export function checkList<T extends ArrayLike<unknown>>(what: string, value: T): T {
  const length = lengthIn(what, value);
  if (typeof length === "number" && Number.isSafeInteger(length) && length >= 0) return value;
  throw new BrownianError("usage", `${what} must be a list, but is ${shown(value)}.`);
}

/** Proxies of typed arrays, and objects that only have their prototype, have a length that cannot be read. */
function lengthIn(what: string, value: unknown): unknown {
  try {
    return typeof value === "object" && value !== null ? (value as { readonly length?: unknown }).length : undefined;
  } catch (cause) {
    throw new BrownianError("usage", `${what} must be a list, but has no length that can be read.`, { cause });
  }
}

/** Throws a `usage` error unless `value` is a function. */
export function checkFunction<T>(what: string, value: T): T {
  if (typeof value !== "function") refuseOther(what, "a function", value);
  return value;
}

/**
 * A text without control characters, which a terminal would obey: they are shown as \x1b and the like; ends of lines and tabs stay. What turns the
 * direction of writing around is one of them.
 */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const code = c.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}

/** Characters of a value that a message shows, at most. */
const SHOWN = 100;

/** A value as a message shows it, whatever it is: some objects cannot be made a text. */
export function shown(value: unknown): string {
  let text: string;
  try {
    text = typeof value === "string" ? JSON.stringify(value) : String(value);
  } catch {
    text = "an object";
  }
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}
