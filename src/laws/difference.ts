// How many codes differ between two states of the same weights.

import { unpack } from "./codes.js";
import { TILE } from "./draws.js";
import type { EncodedFormat } from "./move.js";
import { Field, Kind } from "./numbers.js";
import type { Workspace } from "./workspace.js";

/** Codes of lattice formats that differ; floats whose bits do. */
export function difference(a: Uint8Array, b: Uint8Array, format: EncodedFormat, work: Workspace): number {
  const bytes = format[Field.bytes] as number;
  let different = 0;
  if (format[Field.kind] !== Kind.lattice) {
    for (let i = 0; i < a.length; i += bytes) {
      let same = true;
      for (let j = i; j < i + bytes; j++) same &&= a[j] === b[j];
      if (!same) different++;
    }
    return different;
  }
  const weights = format[Field.weights] as number;
  const tileBlocks = TILE / weights;
  const blocks = Math.floor(a.length / bytes);
  const codesA = work.live.codes;
  const codesB = work.pristine.codes;
  for (let block = 0; block < blocks; block += tileBlocks) {
    const count = Math.min(tileBlocks, blocks - block);
    unpack(codesA, a, block * bytes, count, format);
    unpack(codesB, b, block * bytes, count, format);
    for (let i = 0; i < count * weights; i++) if (codesA[i] !== codesB[i]) different++;
  }
  return different;
}
