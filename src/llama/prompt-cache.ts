// What the engine has computed of a prompt, in a file, so that it need not be computed again: of one model, one engine, and weights at rest.
// A line of JSON that says what it is of, then the engine's own bytes.

import { createHash } from "node:crypto";
import { open, stat, writeFile } from "node:fs/promises";
import type { EngineKind, Sequence } from "../engine/index.js";
import { writeTogether } from "../files/index.js";
import { readFully } from "../files/transfer.js";

const FORMAT = "brownian-prompt-cache";
const VERSION = 1;
/** Bytes of the first line at most: the tokens of a prompt are in it. */
const LONGEST_HEAD = 2 ** 24;

/** What a state is of: all that its numbers depend on. */
export interface CachedBy {
  readonly model: { readonly bytes: number; readonly modified: string };
  readonly engine: string;
  /** Key of the weights, whether they are rearranged, and the tokens that a text may have. */
  readonly how: readonly unknown[];
}

/** What a state of the model in these files would be of. */
export async function cachedBy(files: readonly string[], kind: EngineKind, how: readonly unknown[]): Promise<CachedBy> {
  const found = await Promise.all(files.map((path) => stat(path, { bigint: true })));
  const { name, llamaCpp } = await kind.describe();
  const bytes = found.reduce((sum, { size }) => sum + Number(size), 0);
  return { model: { bytes, modified: found.map(({ mtimeNs }) => mtimeNs).join(" ") }, engine: `${name} ${llamaCpp}`, how };
}

interface Head extends CachedBy {
  readonly format: string;
  readonly version: number;
  readonly tokens: readonly number[];
  /** SHA-256 of the bytes after the line. */
  readonly sha256: string;
}

/**
 * Gives the sequence what the file at `path` has of the beginning of `tokens`, if it is of this model, engine and weights. Resolves to how many of
 * them it then has: at most all but the last, which the text begins with. A file that is missing, damaged or of something else gives none.
 */
export async function takeCached(path: string, by: CachedBy, sequence: Sequence, tokens: readonly number[]): Promise<number> {
  const found = await read(path).catch(() => undefined);
  if (found === undefined) return 0;
  const { head, state } = found;
  const { format, version, model, engine, how } = head;
  const same = JSON.stringify({ model, engine, how }) === JSON.stringify(by);
  if (format !== FORMAT || version !== VERSION || !same || head.tokens[0] !== tokens[0]) return 0;
  if (!(await sequence.restore(state, head.tokens))) return 0;
  return sequence.keep(tokens);
}

/** Keeps what the sequence has computed. @throws BrownianError file-access, no-space, output-exists (a path that is one of the model's files) */
export async function keepCached(path: string, by: CachedBy, sequence: Sequence, files: readonly string[]): Promise<void> {
  const tokens = [...sequence.tokens];
  const state = await sequence.save();
  if (state === undefined) return;
  const sha256 = createHash("sha256").update(state).digest("hex");
  const head: Head = { format: FORMAT, version: VERSION, ...by, tokens, sha256 };
  await writeTogether([path], files, ([partial]) =>
    writeFile(partial as string, Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), state])),
  );
}

async function read(path: string): Promise<{ head: Head; state: Uint8Array } | undefined> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const first = Buffer.alloc(Math.min(size, LONGEST_HEAD));
    await readFully(file, first, 0);
    const end = first.indexOf("\n");
    if (end < 0) return undefined;
    const head = JSON.parse(first.toString("utf8", 0, end)) as Head;
    const state = Buffer.alloc(size - end - 1);
    await readFully(file, state, end + 1);
    return createHash("sha256").update(state).digest("hex") === head.sha256 ? { head, state } : undefined;
  } finally {
    await file.close();
  }
}
