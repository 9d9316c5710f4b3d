// What every container of weights gives: where each tensor lies in which file, and what it is called. Reads and writes nothing.

/** A tensor as its container's directory has it. */
export interface Tensor {
  /** By the model's own names, such as "blk.0.attn_q.weight". */
  readonly name: string;
  /** ggml's name of the type, such as "Q8_0"; "type 99" for one that brownian has never heard of. */
  readonly type: string;
  /** In the file's order: shape[0] is the length of a row. */
  readonly shape: readonly number[];
  /** How many there are: the product of the shape. */
  readonly weights: number;
  /** Which of the model's files it lies in: a place in `ModelFile.parts`. */
  readonly part: number;
  /** First byte in that file. */
  readonly offset: number;
  /** Its size in the file; 0 for a type that brownian has never heard of. */
  readonly bytes: number;
}

/** Which file it was when it was read, as far as that is known: work with another one is refused. */
export interface FileMark {
  /** Which file, how long, and when it was written to (stamp.ts). */
  readonly stamp?: string | undefined;
  /** Of its header: times of change can be set, and some file systems know them to the second only. */
  readonly header?: { readonly bytes: number; readonly sha256: string } | undefined;
}

/** One of the files that a model lies in. */
export interface ModelPart extends FileMark {
  /** Where it lies, absolute. */
  readonly path: string;
  /** In bytes. */
  readonly size: number;
}

/** A model in one or several files. */
export interface ModelFile {
  /** Where its first file lies, absolute: what it is called by. */
  readonly path: string;
  /** What its files are, such as "GGUF". */
  readonly container: string;
  /** Of all its files, in bytes. */
  readonly size: number;
  /** Its files, the first one first. */
  readonly parts: readonly ModelPart[];
  /** By the container's own keys. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What kind of model it is, such as "llama"; "unknown" where the file does not say. */
  readonly architecture: string;
  /** In the order of the files' directories. Each within its file, none on top of another. */
  readonly tensors: readonly Tensor[];
}
