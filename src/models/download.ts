// One file from a server: it goes on where it broke off, is checked by its hash where one is known, and appears whole or not at all. What is not whole
// yet lies beside it as <name>.<16 hex digits>.part; the digits are of what the server says the file is, so that no part of another one is gone on
// with. Proxies are Node's matter (NODE_USE_ENV_PROXY).

import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import { checkRoom } from "../files/room.js";
import { type Request, refused, sent } from "./ask.js";
import { locked } from "./lock.js";

/** What is asked for. */
export interface Wanted extends Request {
  /** In hex; what the server says (X-Linked-ETag) is taken where it is not known. */
  readonly sha256?: string | undefined;
  readonly bytes?: number | undefined;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told of bytes that are there, and in all (0 where the server does not say). */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** Told once of another process that downloads the same file, which is waited for. */
  readonly onWait?: (() => void) | undefined;
  /** Called with the hash before the file gets its name. */
  readonly onWhole?: ((sha256: string) => Promise<void>) | undefined;
  /** Milliseconds before the next attempt; default 1000, doubled each time that no byte came. */
  readonly pause?: number | undefined;
}

/** What the server says of the file. */
interface Told {
  readonly sha256: string | undefined;
  readonly bytes: number | undefined;
  /** Of the file as it is now; undefined where parts cannot be told from those of a later one. */
  readonly etag: string | undefined;
}

/** Attempts in a row that brought no byte. */
const ATTEMPTS = 5;
const PAUSE = 1000; // milliseconds
const MAGIC = "GGUF";

/** What unfinished files are called. */
export const PART = /\.[0-9a-f]{16}\.part$/;

/** Puts the file at `target`, unless it is there. @throws BrownianError download-failed, no-space, file-access, aborted */
export async function download(wanted: Wanted, target: string, options: DownloadOptions = {}): Promise<void> {
  const { signal, onWait } = options;
  try {
    await mkdir(dirname(target), { recursive: true });
    await locked(`${target}.lock`, () => fetched(wanted, target, options), { signal, onWait });
  } catch (error) {
    if (signal?.aborted) throw new BrownianError("aborted", "The download was aborted.", { cause: error });
    throw asFileError(error, target);
  }
}

async function fetched(wanted: Wanted, target: string, options: DownloadOptions): Promise<void> {
  if ((await sizeOf(target)) !== undefined) return; // another process brought it meanwhile
  const told = await ask(wanted, options);
  const known = told.sha256 ?? told.etag;
  const digits = createHash("sha256")
    .update(known ?? "unknown")
    .digest("hex")
    .slice(0, 16);
  const part = `${target}.${digits}.part`;
  for (const other of await partsOf(target)) if (other !== part) await rm(other, { force: true });
  if (known === undefined) await rm(part, { force: true });
  const digest = await filled(part, wanted, told, options);
  const wrong = await whatIsWrong(part, digest, told);
  if (wrong !== undefined) {
    await rm(part, { force: true });
    throw new BrownianError("download-failed", `${wanted.url}: ${wrong} It was removed: try again.`);
  }
  await options.onWhole?.(digest);
  await rename(part, target);
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.size;
}

/** What is left of downloads of this file that broke off. */
async function partsOf(target: string): Promise<string[]> {
  const name = basename(target);
  const ours = (each: string) => each.startsWith(name) && each.slice(name.length).replace(PART, "") === "" && PART.test(each);
  return (await readdir(dirname(target))).filter(ours).map((each) => join(dirname(target), each));
}

async function whatIsWrong(part: string, digest: string, told: Told): Promise<string | undefined> {
  const size = await sizeOf(part);
  if (told.bytes !== undefined && size !== told.bytes) return `${size} bytes came, but ${told.bytes} were said.`;
  if (told.sha256 !== undefined && digest !== told.sha256)
    return `what came has the SHA-256 ${digest}, but ${told.sha256} was said.`;
  const file = await open(part, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    const start = buffer.toString("latin1", 0, bytesRead);
    return start === MAGIC ? undefined : `what came is no GGUF file: it begins with ${JSON.stringify(start)}.`;
  } finally {
    await file.close();
  }
}

/** Asks what the file is, without its bytes and without following to where these lie: who stores them knows no hash. */
async function ask(wanted: Wanted, { signal }: DownloadOptions): Promise<Told> {
  const { url, sha256, bytes } = wanted;
  const asked = { method: "HEAD", headers: { ...wanted.headers, "accept-encoding": "identity" }, signal: signal ?? null };
  let response = await sent(url, { ...asked, redirect: "manual" });
  const linked = response.headers.get("x-linked-etag");
  const linkedBytes = Number(response.headers.get("x-linked-size") ?? Number.NaN);
  if (linked === null && response.status >= 300 && response.status < 400) response = await sent(url, asked);
  if (linked === null && !response.ok && response.status !== 405 && response.status !== 501) throw refused(wanted, response);
  const own = response.ok ? response.headers : new Headers();
  const digest = sha256 ?? /^"?([0-9a-f]{64})"?$/.exec(linked ?? own.get("etag") ?? "")?.[1];
  const length = Number(own.get("content-length") ?? Number.NaN);
  const strong = /^"/.test(own.get("etag") ?? "") ? (own.get("etag") as string) : undefined;
  return {
    sha256: digest,
    bytes: [bytes ?? Number.NaN, linkedBytes, length].find(Number.isFinite),
    etag: linked === null ? strong : undefined,
  };
}

/** A server that may do better the next time. */
const mayMend = (status: number): boolean => status === 408 || status === 429 || status >= 500;

/** What went wrong on the way, and may go well the next time. */
class Broken extends Error {}

/** Fills the file to its end, in as many attempts as it takes; the SHA-256 of all of it. */
async function filled(part: string, wanted: Wanted, told: Told, options: DownloadOptions): Promise<string> {
  const { signal, pause = PAUSE } = options;
  const file = await open(part, "a+");
  try {
    const sink = await Sink.of(file);
    if (told.bytes !== undefined) {
      const wayOut = "free some, or set BROWNIAN_CACHE to a folder that has room.";
      await checkRoom({ folder: dirname(part), bytes: Math.max(0, told.bytes - sink.size), wayOut });
    }
    let failures = 0;
    while (told.bytes === undefined || sink.size < told.bytes) {
      const before = sink.size;
      try {
        await attempt(wanted, told, sink, options);
        break;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Broken)) throw error;
        failures = sink.size > before ? 0 : failures + 1;
        if (failures === ATTEMPTS) {
          const kept = sink.size > 0 ? ` ${sink.size} bytes are kept, and are gone on from the next time.` : "";
          const why = `${wanted.url}: ${error.message}, ${ATTEMPTS} times in a row.${kept}`;
          throw new BrownianError("download-failed", why, { cause: error });
        }
        await sleep(pause * 2 ** Math.max(0, failures - 1));
      }
    }
    await file.sync();
    return sink.digest();
  } finally {
    await file.close();
  }
}

/** One request for what is missing. @throws Broken where another attempt may help; BrownianError where none does */
async function attempt(wanted: Wanted, told: Told, sink: Sink, { signal, onProgress }: DownloadOptions): Promise<void> {
  const headers: Record<string, string> = { ...wanted.headers, "accept-encoding": "identity" };
  if (sink.size > 0) headers.range = `bytes=${sink.size}-`;
  if (sink.size > 0 && told.etag !== undefined) headers["if-range"] = told.etag;
  const response = await sent(wanted.url, { headers, signal: signal ?? null }).catch((error: Error) => {
    throw new Broken(error.message, { cause: error });
  });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    if (response.status === 416) await sink.empty(); // what is there is longer than the file: not of it
    if (response.status === 416 || mayMend(response.status)) throw new Broken(`the server answers ${response.status}`);
    throw refused(wanted, response);
  }
  const from = response.status === 206 ? Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1]) : 0;
  if (from !== sink.size) await sink.empty();
  if (from !== sink.size) {
    await response.body.cancel();
    throw new Broken("the server sends another part than was asked for");
  }
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error: Error) => {
      throw new Broken("it broke off", { cause: error });
    });
    if (done) break;
    await sink.add(value);
    onProgress?.(sink.size, told.bytes ?? 0);
  }
  if (told.bytes !== undefined && sink.size < told.bytes) throw new Broken("it broke off");
}

/** What came so far, and its hash. */
class Sink {
  private constructor(
    private readonly file: FileHandle,
    private hash: Hash,
    private bytes: number,
  ) {}

  /** Goes on with a file, whose bytes are read once for the hash. */
  static async of(file: FileHandle): Promise<Sink> {
    const hash = createHash("sha256");
    const buffer = Buffer.alloc(1 << 20);
    for (let size = 0; ; ) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, size);
      if (bytesRead === 0) return new Sink(file, hash, size);
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  }

  get size(): number {
    return this.bytes;
  }

  async add(chunk: Uint8Array): Promise<void> {
    await this.file.appendFile(chunk);
    this.hash.update(chunk);
    this.bytes += chunk.length;
  }

  async empty(): Promise<void> {
    await this.file.truncate(0);
    this.hash = createHash("sha256");
    this.bytes = 0;
  }

  digest(): string {
    return this.hash.digest("hex");
  }
}
