// A member as part of a model: the same file with W + E in the place of W. In GGUF moved matrices become F16 (F32 ones stay so), as llama.cpp's
// llama-export-lora writes them: on the grid of four bits most of a small E would be lost to rounding. In safetensors they stay what they are, rounded
// to the nearest, as peft's merge does. All other bytes are the model's.

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { BrownianError, checkText } from "../errors.js";
import { ggufLayout, metadataOf } from "../files/containers/gguf-writer.js";
import { openNew } from "../files/copy.js";
import { copyModel, type ModelFile, readModel, type Tensor, WATCH, type Watch, watchOver, writeModel } from "../files/index.js";
import { checkRoom } from "../files/room.js";
import { readFully, writeFully } from "../files/transfer.js";
import { decode } from "../lattice/decode.js";
import { formatNamed } from "../lattice/formats.js";
import { clamp, limitOf } from "../laws/floats.js";
import { halfOf, isByteFloat } from "../laws/halves.js";
import { Kind } from "../laws/numbers.js";
import { checkOptions, type Names } from "../options.js";
import { NOISE, type NoiseSettings, noiseOf } from "../thermostat/noise.js";
import { Members, type Pair } from "./members.js";
import { isHuggingFace, rowOrder } from "./names.js";

/** Which member becomes part of the model. */
export interface MergeOptions extends Omit<NoiseSettings, "rounding">, Watch {
  /** Its number, from 0 (the default) on. */
  readonly member?: number | undefined;
  /** Default 1. */
  readonly rank?: number | undefined;
}

const { rounding: _, ...NAMED } = NOISE;
const NAMES: Names<MergeOptions> = { ...NAMED, ...WATCH, member: true, rank: true };

/** What was merged. */
export interface Merged {
  /** The files that were written. */
  readonly files: readonly string[];
  /** Of a folder: what else was copied, by name. */
  readonly copied: readonly string[];
  /** Of a folder: other weights, and folders, which were left out. */
  readonly leftOut: readonly string[];
  /** Matrices that moved. */
  readonly matrices: number;
  /** Weights of these. */
  readonly weights: number;
  /** Of all files. */
  readonly bytes: number;
}

/** Weights that are worked on at a time. */
const AT_ONCE = 1 << 20;

/**
 * Writes the model `input` with one member added to its weights to `output`, whole or not at all. A folder of Hugging Face gives a folder.
 *
 * @throws BrownianError as {@link writeAdapters}
 * @example
 * await mergeMember("model.gguf", "moved.gguf", { sigma: 0.07, seed: 7n, member: 3 });
 */
export async function mergeMember(input: string, output: string, options: MergeOptions): Promise<Merged> {
  const { member = 0, sigma } = checkOptions("mergeMember", options, NAMES);
  checkText("input", input);
  checkText("output", output);
  const noise = noiseOf({ ...options, carrier: "adapter" });
  const model = await readModel(input);
  const inPlace = isHuggingFace(model);
  if (model.parts.length > 1 && !inPlace)
    throw new BrownianError(
      "usage",
      `${input} is in ${model.parts.length} files, and a merged model is one: put them together first (llama-gguf-split --merge), or write the member as an adapter.`,
    );
  const members = await Members.open(model, noise);
  const merge = inPlace ? mergeInPlace : mergeAnew;
  const { result: bytes, ...written } = await writeModel(input, output, model, (files) =>
    merge(files, model, members, { member, sigma, watch: options }),
  );
  return { ...written, matrices: members.matrices.length, weights: members.weights, bytes };
}

interface Merging {
  readonly member: number;
  readonly sigma: number;
  readonly watch: Watch;
}

/** A GGUF file with a header of its own, since moved matrices are of another type. Resolves to its size. */
async function mergeAnew(
  [output]: readonly string[],
  model: ModelFile,
  members: Members,
  { member, sigma, watch: { signal, ...told } }: Merging,
): Promise<number> {
  const moved = new Set(members.matrices.map(({ tensor }) => tensor));
  const metadata = await metadataOf(model);
  const types = model.tensors.map((tensor) => ({
    ...tensor,
    type: moved.has(tensor) && tensor.type !== "F32" ? "F16" : tensor.type,
  }));
  const layout = ggufLayout(metadata, types);
  await checkRoom({ folder: dirname(output as string), bytes: layout.size, wayOut: "free some, or write elsewhere." });
  const source = await open(model.path, "r");
  try {
    const target = await openNew(output as string, source);
    try {
      const watch = watchOver(layout.size, { signal, ...told });
      await writeFully(target, layout.header, 0);
      const places = new Map(model.tensors.map((tensor, i) => [tensor, layout.offsets[i] as number]));
      for (const tensor of model.tensors.filter((each) => !moved.has(each))) {
        signal?.throwIfAborted();
        await copyBytes(source, target, tensor, places.get(tensor) as number);
        watch.onBytes?.(tensor.bytes);
      }
      for (const pair of members.draw(member, sigma)) {
        signal?.throwIfAborted();
        const { tensor } = pair.matrix;
        const type = tensor.type === "F32" ? "F32" : "F16";
        await addPair(source, target, pair, { rank: members.rank, place: places.get(tensor) as number, type });
        watch.onBytes?.(tensor.weights * 2);
      }
      await target.truncate(layout.size);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  return layout.size;
}

/** Safetensors files, whose matrices stay of their type and in their places. Resolves to their size. */
async function mergeInPlace(
  files: readonly string[],
  model: ModelFile,
  members: Members,
  { member, sigma, watch: told }: Merging,
): Promise<number> {
  const watch = watchOver(model.size + members.matrices.reduce((sum, { tensor }) => sum + tensor.bytes, 0), told);
  const handles: FileHandle[] = [];
  try {
    for (const [i, part] of model.parts.entries()) {
      await copyModel(part, files[i] as string, "free some, or write elsewhere.", watch);
      handles.push(await open(files[i] as string, "r+"));
    }
    for (const pair of members.draw(member, sigma)) {
      told.signal?.throwIfAborted();
      const { name, tensor, rows } = pair.matrix;
      const file = handles[tensor.part] as FileHandle;
      const b = inOrder(pair.b, rows, rowOrder(model, name, rows));
      await addPair(file, file, { ...pair, b }, { rank: members.rank, place: tensor.offset, type: tensor.type });
      watch.onBytes?.(tensor.bytes);
    }
  } finally {
    for (const handle of handles) await handle.close();
  }
  return model.size;
}

/** Columns of B with their numbers in another order of rows. */
function inOrder(b: Float32Array, rows: number, order: ((row: number) => number) | undefined): Float32Array {
  if (order === undefined) return b;
  const out = new Float32Array(b.length);
  for (let at = 0; at < b.length; at += rows) for (let row = 0; row < rows; row++) out[at + order(row)] = b[at + row] as number;
  return out;
}

async function bytesOf(source: FileHandle, tensor: Tensor, from: number, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  if ((await readFully(source, bytes, tensor.offset + from)) === count) return bytes;
  throw new BrownianError("truncated-gguf", `The model became shorter than its tensor ${tensor.name} needs: write it anew.`);
}

async function copyBytes(source: FileHandle, target: FileHandle, tensor: Tensor, place: number): Promise<void> {
  for (let at = 0; at < tensor.bytes; at += AT_ONCE)
    await writeFully(target, await bytesOf(source, tensor, at, Math.min(AT_ONCE, tensor.bytes - at)), place + at);
}

/** target := W + B·A as numbers of a type, some rows at a time. */
async function addPair(
  source: FileHandle,
  target: FileHandle,
  { matrix: { tensor, rows, columns }, a, b }: Pair,
  { rank, place, type }: { readonly rank: number; readonly place: number; readonly type: string },
): Promise<void> {
  const rowBytes = tensor.bytes / rows;
  const some = Math.max(1, Math.floor(AT_ONCE / columns));
  const sums = new Float64Array(columns);
  for (let first = 0; first < rows; first += some) {
    const count = Math.min(some, rows - first);
    const weights = decode(tensor.type, await bytesOf(source, tensor, first * rowBytes, count * rowBytes));
    for (let row = 0; row < count; row++) {
      sums.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = b[k * rows + first + row] as number;
        const from = k * columns;
        for (let j = 0; j < columns; j++) sums[j] = (sums[j] as number) + factor * (a[from + j] as number);
      }
      const at = row * columns;
      for (let j = 0; j < columns; j++) weights[at + j] = (weights[at + j] as number) + (sums[j] as number);
    }
    const out = rounded(weights, type);
    await writeFully(target, new Uint8Array(out.buffer), place + first * columns * out.BYTES_PER_ELEMENT);
  }
}

/** Weights as floats of this type, to the nearest; what is beyond its largest is that. */
function rounded(weights: Float32Array, type: string): Float32Array | Uint16Array | Uint8Array {
  const { kind: name } = formatNamed(type) as { kind: keyof typeof Kind };
  const kind = Kind[name];
  if (kind === Kind.f32) return weights;
  const most = limitOf(kind);
  const bits = (w: number) => halfOf(Number.isFinite(w) ? clamp(w, most) : w, kind, null);
  if (!isByteFloat(kind)) return Uint16Array.from(weights, bits);
  return Uint8Array.from(weights, (w) => (bits(w) & 0x7f) | (bits(w) >> 8));
}
