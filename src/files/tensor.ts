// What every container of weights gives: where each tensor lies in its file, and what it is called. Reads and writes nothing.

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
  /** First byte in the file. */
  readonly offset: number;
  /** Its size in the file; 0 for a type that brownian has never heard of. */
  readonly bytes: number;
}

/** A file with the weights of a model. */
export interface ModelFile {
  /** Where the file lies, absolute. */
  readonly path: string;
  /** Of the file, in bytes. */
  readonly size: number;
  /** Which file it was when it was read, and as of when: where that is given, work with another one is refused. */
  readonly stamp?: string | undefined;
  /** By the container's own keys. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What kind of model it is, such as "llama"; "unknown" where the file does not say. */
  readonly architecture: string;
  /** In the order of the file's directory. Each within the file, none on top of another. */
  readonly tensors: readonly Tensor[];
}
