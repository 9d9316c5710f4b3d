// The steps of weights in memory, and how often a weight moves: for people who want to know before they turn the dial.

import { Field, Kind } from "../kernels/contract.js";
import { halfToFloat, readSteps } from "../kernels/js/codes.js";
import { ulp } from "../kernels/js/floats.js";
import { TABLE_VARIANCE } from "../kernels/js/moves.js";
import { LAW_COLUMNS, LAW_TAILS } from "../kernels/law.js";
import { encodedFormat, type Format } from "./formats.js";

/**
 * The distance between neighbouring codes, one a group for lattice formats, one a weight for floats.
 * @param data whole blocks. @returns steps in weight units; 0 for groups that cannot move.
 */
export function stepsOf(format: Format, data: Uint8Array): Float32Array {
  const encoded = encodedFormat(format);
  const blocks = Math.floor(data.length / format.bytes);
  if (format.lattice !== undefined) {
    const steps = new Float32Array((blocks * format.weights) / format.lattice.group);
    readSteps(steps, data, 0, blocks, encoded);
    return steps;
  }
  const kind = encoded[Field.kind] as number;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float32Array.from({ length: blocks }, (_, i) => {
    if (kind === Kind.f32) return ulp(view.getFloat32(4 * i, true), kind);
    const bits = view.getUint16(2 * i, true);
    if (kind === Kind.f16) return ulp(halfToFloat(bits), kind);
    view32.setUint32(0, bits << 16);
    return ulp(view32.getFloat32(0), kind);
  });
}

const view32 = new DataView(new ArrayBuffer(4));

/** P(k != 0) of a `matched` move at s = sigma / step, away from the rails. */
export function moveProbability(s: number): number {
  const v = s * s;
  if (v <= TABLE_VARIANCE) {
    const row = Math.min(Math.floor(v * 4), TABLE_VARIANCE * 4 - 1);
    const a = LAW_TAILS[row * LAW_COLUMNS] as number;
    const b = LAW_TAILS[(row + 1) * LAW_COLUMNS] as number;
    return (a + (b - a) * (v * 4 - row)) / 32768;
  }
  // P(k = 0) = E[(1 - s'|z|)+], where the density of z is flat to second order: 1 / (s' sqrt(2 pi)) (1 - 1 / (12 s'^2)).
  const scale = Math.sqrt(v - 1 / 6);
  return 1 - (1 - 1 / (12 * scale * scale)) / (scale * Math.sqrt(2 * Math.PI));
}
