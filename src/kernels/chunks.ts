// A tensor in chunks that are worked on one at a time, so that work can be watched and stopped, and memory does not grow with the tensor.

import type { EncodedFormat } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import type { Stretch } from "../laws/visits.js";
import type { TensorRange } from "./files.js";

/** A part of a tensor: whole blocks, and, from its beginning on, whole leaves of sums except at the tensor's end. */
export interface Chunk {
  readonly offset: number;
  readonly bytes: number;
  /** First weight. */
  readonly index: number;
}

/** A tensor, or a stretch of it that is whole blocks, in chunks of so many leaves of SUM_LEAF weights each; the last may be shorter. */
export function* chunks(tensor: TensorRange, format: EncodedFormat, leaves: number, stretch?: Stretch): Generator<Chunk> {
  const most = SUM_LEAF * leaves;
  const weights = format[Field.weights] as number;
  const bytes = format[Field.bytes] as number;
  const { from, to } = stretch ?? { from: 0, to: (tensor.bytes / bytes) * weights };
  const byteOf = (weight: number) => (weight / weights) * bytes;
  for (let index = from; index < to; index += most) {
    const end = Math.min(to, index + most);
    yield { offset: tensor.offset + byteOf(index), bytes: byteOf(end - index), index };
  }
}
