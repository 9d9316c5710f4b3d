// Memory that callers hand over, looked at in one place before anything reads or writes it: of which kind the array is, how long, and whether its
// memory is still there. What arrays say of themselves (properties, subclasses, prototypes) is not believed. Rests on errors only.

import { BrownianError, shown } from "./errors.js";

const KINDS = { Uint8Array, Int8Array, Uint32Array, Float32Array, Float64Array } as const;

/** The kinds of typed arrays that public functions take. */
export type ArrayKind = keyof typeof KINDS;
type OfKind<K extends ArrayKind> = InstanceType<(typeof KINDS)[K]>;

const TYPED = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
// Getters read what an array is, also of subclasses, and where properties of the same names lie before them.
const getter = (name: PropertyKey) => Object.getOwnPropertyDescriptor(TYPED, name)?.get as (this: unknown) => unknown;
const kindOf = getter(Symbol.toStringTag);
const lengthOf = getter("length") as (this: unknown) => number;
const bufferOf = getter("buffer") as (this: unknown) => ArrayBuffer;
const offsetOf = getter("byteOffset") as (this: unknown) => number;

/**
 * `value` if it is a typed array of this kind whose memory is there (a Buffer is a Uint8Array). Of arrays that have properties or a class of their
 * own, a plain view of the same memory.
 * @param what how the caller knows the argument
 * @param length how many elements it must have, if that is known, and whose number that is
 * @throws BrownianError usage
 */
export function checkArray<K extends ArrayKind>(
  what: string,
  value: unknown,
  kind: K,
  length?: { readonly of: string; readonly is: number; readonly unit: string },
): OfKind<K> {
  if (kindOf.call(value) !== kind) refuseKind(what, value, kind);
  const elements = lengthOf.call(value);
  if (elements === 0) checkThere(what, value);
  if (length !== undefined && elements !== length.is) refuseLength(what, elements, length);
  const array = value as OfKind<K>;
  return isPlain(array, kind) ? array : (new KINDS[kind](bufferOf.call(value), offsetOf.call(value), elements) as OfKind<K>);
}

// Messages are made apart from the checks, here and in options.ts: what is called for every array has to be small enough to be compiled into its
// callers, or calls on few weights take half as long again.

function refuseKind(what: string, value: unknown, kind: ArrayKind): never {
  const is = kindOf.call(value) ?? (value instanceof Object ? (value.constructor?.name ?? "an object") : shown(value));
  throw new BrownianError("usage", `${what} must be a ${kind}, but is ${is}.`);
}

function refuseLength(what: string, elements: number, { of, is, unit }: { of: string; is: number; unit: string }): never {
  throw new BrownianError("usage", `${what} must be as long as ${of} (${is} ${unit}), but has ${elements}.`);
}

/** Whether the array's memory is all there still: neither transferred nor cut off by a buffer that became smaller. */
export function isThere(value: Uint8Array, length: number): boolean {
  return lengthOf.call(value) === length && (length > 0 || isInBounds(value));
}

/** Arrays without memory have no elements, like those that were made so. */
function checkThere(what: string, value: unknown): void {
  if (isInBounds(value)) return;
  throw new BrownianError(
    "usage",
    `The memory of ${what} is gone: its buffer was transferred away (it is detached), or became smaller than the array.`,
  );
}

/** Methods of arrays throw where the memory is not there. */
function isInBounds(value: unknown): boolean {
  try {
    TYPED.at.call(value, 0);
    return true;
  } catch {
    return false;
  }
}

const owns = Object.prototype.hasOwnProperty;

/** Whether the array has a property of its own by a name that code of ours looks up in arrays. One by one: in a loop they take twice as long. */
function hasOwn(value: object): boolean {
  return (
    owns.call(value, "length") ||
    owns.call(value, "subarray") ||
    owns.call(value, "set") ||
    owns.call(value, "slice") ||
    owns.call(value, "buffer") ||
    owns.call(value, "byteOffset")
  );
}

function isPlain(value: object, kind: ArrayKind): boolean {
  const prototype = Object.getPrototypeOf(value);
  const usual = prototype === KINDS[kind].prototype || (kind === "Uint8Array" && prototype === globalThis.Buffer?.prototype);
  return usual && !hasOwn(value);
}
