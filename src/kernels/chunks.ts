// A tensor in chunks that are worked on one at a time, so that work can be watched and stopped, and memory does not grow with the tensor.

import type { EncodedFormat } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import type { TensorRange } from "./files.js";

/** A part of a tensor: whole blocks, and whole leaves of sums except at the tensor's end. */
export interface Chunk {
  readonly offset: number;
  readonly bytes: number;
  /** First weight. */
  readonly index: number;
}

/** A tensor in chunks of so many leaves of SUM_LEAF weights each; the last may be shorter. */
export function* chunks(tensor: TensorRange, format: EncodedFormat, leaves: number): Generator<Chunk> {
  const weights = SUM_LEAF * leaves;
  const bytes = (weights / (format[Field.weights] as number)) * (format[Field.bytes] as number);
  for (let done = 0; done < tensor.bytes; done += bytes) {
    yield { offset: tensor.offset + done, bytes: Math.min(bytes, tensor.bytes - done), index: (done / bytes) * weights };
  }
}
