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
  | "corrupt-gguf" // parses, but contradicts itself
  | "unsupported-type"
  | "no-such-tensor"
  | "output-exists" // output equals input
  | "no-space"
  | "backend-unavailable"
  | "package-missing" // an optional package is not installed
  | "engine-missing"
  | "no-language-model" // a file that no text can be written with: an adapter, an encoder, one without a vocabulary
  | "engine-failed"
  | "autodiff-missing"
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
    super(message, options);
    this.code = code;
  }
}

/** Throws a `usage` error unless `value` is a finite number in [min, max]. `what` names the argument as the caller wrote it. */
export function checkNumber(what: string, value: unknown, min: number, max = Number.MAX_VALUE): number {
  if (typeof value !== "number" || !(value >= min && value <= max)) {
    const range = max === Number.MAX_VALUE ? `a finite number, at least ${min}` : `a number from ${min} to ${max}`;
    throw new BrownianError("usage", `${what} must be ${range}, but is ${describe(value)}.`);
  }
  return value;
}

/** Like {@link checkNumber}, for whole numbers. */
export function checkInteger(what: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isInteger(value)) throw new BrownianError("usage", `${what} must be a whole number, but is ${describe(value)}.`);
  return checkNumber(what, value, min, max);
}

/** Throws a `usage` error unless `value` is one of `choices`. */
export function checkChoice<T extends string>(what: string, value: unknown, choices: readonly T[]): T {
  if (!choices.includes(value as T)) {
    throw new BrownianError("usage", `${what} must be one of ${choices.join(", ")}, but is ${describe(value)}.`);
  }
  return value as T;
}

function describe(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
