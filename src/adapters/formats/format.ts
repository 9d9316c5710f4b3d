// What a format of adapters is: how a member becomes files. Each is one file beside this one and one line in index.ts.

import type { Drawing } from "../members.js";

/** A file of a member: its bytes, part by part. */
export interface AdapterFile {
  /** Below the folder of all members. */
  readonly path: string;
  readonly bytes: number;
  parts(): Iterable<Uint8Array>;
}

/** One member at one sigma, and what it is called. */
export interface MemberFile {
  readonly member: number;
  /** Below 0: the mirror image. */
  readonly sigma: number;
  readonly name: string;
}

export interface AdapterFormat {
  /** Which engines read it. */
  readonly summary: string;
  /** Whether these take a scale with each request: then one file does for every sigma and sign. */
  readonly scaled: boolean;
  /** Refuses a model that it has no names for. @throws BrownianError unsupported-type */
  check(members: Drawing): void;
  /** What a member is called by whoever serves it: the path of its file or folder below that of all members. */
  place(name: string): string;
  /** The files of a member. */
  files(members: Drawing, file: MemberFile): readonly AdapterFile[];
}
