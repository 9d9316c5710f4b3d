// What a container is: a file format that holds the tensors of a model. Each is one file beside this one and one line in index.ts.

import type { FileMark, ModelFile, Tensor } from "../tensor.js";

/** A file of which not much is known yet. */
export interface FoundFile {
  /** As the caller wrote it: for messages. */
  readonly path: string;
  /** Absolute: to open it. */
  readonly full: string;
  /** Bytes. */
  readonly size: number;
  /** Which file it is, as of now. */
  readonly stamp: string;
  /** Its first BEGINNING bytes, or all that there are. */
  readonly beginning: Buffer;
}

/** How much of a file its container is told by. */
export const BEGINNING = 64;

/** What one file says. */
export interface Contents extends Pick<ModelFile, "metadata" | "architecture">, Required<Pick<FileMark, "header">> {
  readonly tensors: readonly Omit<Tensor, "part">[];
}

/** A file that was read. */
export interface ReadFile {
  readonly file: FoundFile;
  readonly contents: Contents;
}

export interface Container {
  /** What people call it. */
  readonly name: string;
  /** How its files begin, as a message says it. */
  readonly begins: string;
  /** Whether a file that begins like this is one, whole or damaged. */
  knows(beginning: Buffer): boolean;
  /**
   * Reads its directory. Whether tensors lie within the file, and not on top of each other, is checked for it.
   * @throws BrownianError truncated-gguf, corrupt-gguf, usage
   */
  read(file: FoundFile): Promise<Contents>;
  /**
   * Where the further files of a model lie whose first one this is, in their order; none where it is all there is. Not there: always none.
   * @throws BrownianError usage where it is not the first one, or is not called like one
   */
  others?(first: ReadFile): readonly string[] | Promise<readonly string[]>;
  /**
   * Whether these files are all the parts of one model, in their order.
   * @throws BrownianError corrupt-gguf
   */
  checkParts?(parts: readonly ReadFile[]): void | Promise<void>;
  /**
   * The first file of the model that a folder is. Not there: no folder is one.
   * @throws BrownianError usage where there is none, or more than one
   */
  first?(folder: string): Promise<string>;
}

/** What to do about a file that is not what its container says. */
export const DOWNLOAD_AGAIN = "The file is damaged or was cut short: download it again.";
