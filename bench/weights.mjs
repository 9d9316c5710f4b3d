// Weights that look like those of real models: Gaussian codes, and scales that vary from block to block by a quarter. Made for any format
// of the table in src/lattice/formats.ts.

import { encodedFormat, formatNamed } from "../dist/lattice/formats.js";
import { pack, readGroup } from "../dist/laws/codes.js";
import { Kind, Levels, StepKind } from "../dist/laws/numbers.js";
import { Noise } from "../dist/noise/index.js";

/** The step of the weights of I8, which has no scale of its own. */
export const I8_STEP = 0.001;
/** The largest of 32 Gaussian weights, which makes the scale of a block, is 2.2 standard deviations away on average. */
const LARGEST = 2.2;
const SCALE_SPREAD = 0.25; // of the logarithm of a scale
const FLOAT_SIGMA = 0.02; // standard deviation of float weights
const PERIOD = 1 << 18; // weights after which the data repeat

/**
 * Weights of a type in about `bytes` bytes (whole blocks): the data, how many there are, and their standard deviation in the unit that
 * noise is measured in here: steps; of floats, their own standard deviation.
 */
export function realisticWeights(type, bytes) {
  const format = formatNamed(type);
  const blocks = Math.floor(bytes / format.bytes);
  const period = Math.min(blocks, Math.ceil(PERIOD / format.weights));
  const stream = new Noise(7n).stream(type);
  const normals = stream.normal(new Float32Array(period * format.weights));
  const first = format.lattice ? latticeBlocks(format, period, normals, stream) : floats(format, normals);
  const data = new Uint8Array(blocks * format.bytes);
  for (let at = 0; at < data.length; at += first.length) data.set(first.subarray(0, data.length - at), at);
  const spread = format.lattice ? (format.lattice.hi - format.lattice.lo) / 2 / LARGEST : 1;
  return { data, elements: blocks * format.weights, spread };
}

/** The absolute sigma at which the mean of (sigma / step)^2 over the groups of these weights is s^2; of floats, s times their deviation. */
export function sigmaFor(type, data, s) {
  const format = formatNamed(type);
  if (!format.lattice) return s * FLOAT_SIGMA;
  if (type === "I8") return s * I8_STEP;
  const group = { step: 0, origin: 0 };
  let sum = 0;
  let groups = 0;
  for (let at = 0; at < Math.min(data.length, 4096 * format.bytes); at += format.bytes) {
    for (let g = 0; g * format.lattice.group < format.weights; g++, groups++) {
      readGroup(group, data, at, g, encodedFormat(format));
      sum += 1 / group.step ** 2;
    }
  }
  // Of tables, a step is a small part of the gap between neighbouring values: see MEAN_GAP in src/laws/levels.ts.
  const gap = { uniform: 1, iq4nl: 16, e2m1: 12 / 7 }[format.lattice.levels];
  return (s * gap) / Math.sqrt(sum / groups);
}

function latticeBlocks(format, blocks, normals, stream) {
  const { lo, hi } = format.lattice;
  const centre = (lo + hi) / 2;
  const sd = (hi - lo) / 2 / LARGEST;
  const codes = Int8Array.from(normals, (z) => Math.max(lo, Math.min(hi, Math.round(centre + sd * z))));
  const data = stream.bits(new Uint32Array(Math.ceil((blocks * format.bytes) / 4)), { tick: 1 });
  const bytes = new Uint8Array(data.buffer, 0, blocks * format.bytes);
  // E2M1 has two codes for zero: its levels are spread over the 16 codes as they are.
  if (Levels[format.lattice.levels] === Levels.e2m1) for (let i = 0; i < codes.length; i++) codes[i] = (codes[i] + 16) & 15;
  pack(codes, bytes, 0, blocks, encodedFormat(format));
  const spread = stream.normal(new Float32Array(2 * blocks), { tick: 1 });
  for (let b = 0; b < blocks; b++) setScales(format, bytes, b * format.bytes, spread[2 * b], spread[2 * b + 1]);
  return bytes;
}

/** Writes the scales of a block. What makes the steps of groups within a block (4 or 6 bits each) stays random. */
function setScales(format, data, block, a, b) {
  const { step, stepOffset, scalesOffset } = format.lattice;
  const at = block + stepOffset;
  const kind = StepKind[step];
  const view = new DataView(data.buffer, data.byteOffset);
  const half = (offset, size) => view.setUint16(offset, halfBits(size), true);
  if (kind === StepKind.e8m0) data[at] = 118 + Math.round(a);
  else if (kind === StepKind.ue4m3) for (let g = 0; g < 4; g++) data[at + g] = 0x30 + Math.round(2 * a);
  else if (kind !== StepKind.external) {
    half(at, 1e-2 * Math.exp(SCALE_SPREAD * a) * (kind >= StepKind.k2 ? 1 / 32 : 1));
    if (kind === StepKind.f16Origin || kind === StepKind.k2 || kind === StepKind.k4) {
      half(at + 2, 1e-3 * Math.exp(SCALE_SPREAD * b));
    }
    // Scales of groups in Q4_K and Q5_K: 6 bits each, the upper half of their range, where quantizers put most.
    if (kind === StepKind.k4) for (let g = 0; g < 8; g++) data[block + scalesOffset + g] |= 32;
    if (kind === StepKind.k4) for (let g = 8; g < 12; g++) data[block + scalesOffset + g] |= 0x88;
  }
}

function floats(format, normals) {
  const weights = normals.map((z) => FLOAT_SIGMA * z);
  if (Kind[format.kind] === Kind.f32) return new Uint8Array(weights.buffer);
  const upper = new Uint32Array(weights.buffer);
  const halves = Uint16Array.from(weights, (w, i) => (Kind[format.kind] === Kind.bf16 ? upper[i] >>> 16 : halfBits(w)));
  return new Uint8Array(halves.buffer);
}

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** A float16 near x (towards zero), 0 for what is smaller than its normal numbers. */
function halfBits(x) {
  single[0] = x;
  const sign = (singleBits[0] >>> 16) & 0x8000;
  const magnitude = (singleBits[0] & 0x7fffffff) - (112 << 23);
  return magnitude < 1 << 23 ? sign : sign | (magnitude >>> 13);
}
