// Bytes of tensors as they lie in a model's files, or in those of its live copy: for whoever looks at codes himself. Reads only.

import { type FileHandle, open } from "node:fs/promises";
import { asFileError } from "./file-errors.js";
import type { Tensor } from "./tensor.js";
import { readFully } from "./transfer.js";

export class TensorBytes {
  /**
   * @param paths of the files of one model, in their order
   * @throws BrownianError file-not-found, file-access
   */
  static async open(paths: readonly string[]): Promise<TensorBytes> {
    const files: FileHandle[] = [];
    try {
      for (const path of paths) {
        const file = await open(path, "r").catch((error) => {
          throw asFileError(error, path);
        });
        files.push(file);
      }
      return new TensorBytes(files);
    } catch (error) {
      for (const file of files) await file.close();
      throw error;
    }
  }

  private constructor(private readonly files: readonly FileHandle[]) {}

  /** Fills `bytes` with those of the tensor from byte `from` of it on; resolves to how many there were. */
  read({ part, offset }: Pick<Tensor, "part" | "offset">, bytes: Uint8Array, from = 0): Promise<number> {
    return readFully(this.files[part] as FileHandle, bytes, offset + from);
  }

  async close(): Promise<void> {
    for (const file of this.files) await file.close();
  }
}
