// Texts that commands are given as files, whatever lies at the path: a file, a pipe, a terminal. Reads a bounded part, a piece at a time, so that
// nothing endless fills the memory and Ctrl-C works where nobody writes.

import { constants, type Stats } from "node:fs";
import { open, realpath } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { BrownianError, checkText, shown } from "../errors.js";
import { asFileError } from "./file-errors.js";

/** Bytes of a text, at most: a hundred times what a calibration reads; much more would not fit into one string. */
const MOST = 2 ** 28;
const PIECE = 2 ** 20;
/** Milliseconds between looks at a pipe that has nothing yet. */
const PATIENCE = 20;

/**
 * The text (UTF-8) at `path`.
 * @param most bytes that it may have
 * @throws BrownianError file-not-found, file-access; usage for a longer one; the signal's reason
 *
 * @example
 * const text = await readTextFile("tales.txt");
 */
export async function readTextFile(path: string, signal?: AbortSignal, most = MOST): Promise<string> {
  signal?.throwIfAborted();
  if (checkText("The path of a file", path).includes("\0"))
    throw new BrownianError("usage", `A file has no such name: ${shown(path)}.`);
  try {
    // Else it waits, where nobody can stop it, for somebody to write to a pipe. Windows knows neither.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const info = await file.stat();
      if (info.isFile() && info.size > most) throw tooLong(path, most);
      const parts: Buffer[] = [];
      for (let read = 0; ; ) {
        signal?.throwIfAborted();
        const piece = await file.read(Buffer.allocUnsafe(PIECE), 0, PIECE, null).catch((error: NodeJS.ErrnoException) => {
          if (error.code === "EAGAIN") return undefined;
          throw error;
        });
        const empty = piece?.bytesRead === 0;
        if (empty && !(read === 0 && (await isNamedPipe(path, info)))) return decoded(parts, path);
        if (piece === undefined || empty) {
          await sleep(PATIENCE);
          continue;
        }
        parts.push(piece.buffer.subarray(0, piece.bytesRead));
        read += piece.bytesRead;
        if (read > most) throw tooLong(path, most);
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    throw asFileError(error, path);
  }
}

/**
 * The text (UTF-8) of a stream.
 * @param name what a message calls it
 * @throws BrownianError usage for a longer one than `most` bytes
 */
export async function textOf(stream: AsyncIterable<Uint8Array | string>, name: string, most = MOST): Promise<string> {
  const parts: Uint8Array[] = [];
  let read = 0;
  for await (const part of stream) {
    const bytes = Buffer.from(part);
    parts.push(bytes);
    read += bytes.length;
    if (read > most) throw tooLong(name, most);
  }
  return decoded(parts, name);
}

/** Editors on Windows begin a text with a mark of its encoding, which is none of its letters. @throws BrownianError usage for UTF-16 */
function decoded(parts: readonly Uint8Array[], name: string): string {
  const bytes = Buffer.concat(parts);
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new BrownianError("usage", `${name} is written in UTF-16: save it as UTF-8.`);
  return withoutMark(bytes.toString("utf8"));
}

/** A text without the mark that says of a file that it is UTF-8. */
export const withoutMark = (text: string): string => (text.startsWith("\ufeff") ? text.slice(1) : text);

/** A text whose lines end as they do everywhere but on Windows: of what a model is to read, the ends of lines are the file's, not the text's. */
export const withPlainLines = (text: string): string => text.replaceAll("\r\n", "\n");

/** One to which somebody may write yet; a pipe of the shell's without a name has ended when it is empty. */
async function isNamedPipe(path: string, info: Stats): Promise<boolean> {
  return info.isFIFO() && (await realpath(path).catch(() => undefined)) !== undefined;
}

function tooLong(path: string, most: number): BrownianError {
  return new BrownianError("usage", `${path} has more than ${most / 2 ** 20} MiB: give a part of it.`);
}
