// A member as part of a model: the same GGUF file with W + E in the place of W. Moved matrices become F16 (F32 ones stay so), as llama.cpp's
// llama-export-lora writes them: on the grid of four bits most of a small E would be lost to rounding. All other bytes are the model's.

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { BrownianError, checkText } from "../errors.js";
import { ggufLayout, metadataOf } from "../files/containers/gguf-writer.js";
import { openNew } from "../files/copy.js";
import { readModel, type Tensor, WATCH, type Watch, watchOver, writeWhole } from "../files/index.js";
import { checkRoom } from "../files/room.js";
import { readFully, writeFully } from "../files/transfer.js";
import { decode } from "../lattice/decode.js";
import { halfOf } from "../laws/halves.js";
import { Kind } from "../laws/numbers.js";
import { checkOptions, type Names } from "../options.js";
import { NOISE, type NoiseSettings, noiseOf } from "../thermostat/noise.js";
import { Members, type Pair } from "./members.js";

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
  /** Matrices that moved. */
  readonly matrices: number;
  /** Weights of these. */
  readonly weights: number;
  /** Of the file. */
  readonly bytes: number;
}

/** Weights that are worked on at a time. */
const AT_ONCE = 1 << 20;

/**
 * Writes the model `input` with one member added to its weights to `output`, whole or not at all.
 *
 * @throws BrownianError as {@link writeAdapters}
 * @example
 * await mergeMember("model.gguf", "moved.gguf", { sigma: 0.07, seed: 7n, member: 3 });
 */
export async function mergeMember(input: string, output: string, options: MergeOptions): Promise<Merged> {
  const { member = 0, sigma, signal } = checkOptions("mergeMember", options, NAMES);
  checkText("input", input);
  checkText("output", output);
  const noise = noiseOf({ ...options, carrier: "adapter" });
  const model = await readModel(input);
  if (model.parts.length > 1)
    throw new BrownianError(
      "usage",
      `${input} is in ${model.parts.length} files, and a merged model is one: put them together first (llama-gguf-split --merge), or write the member as an adapter.`,
    );
  const members = await Members.open(model, noise);
  const moved = new Set(members.matrices.map(({ tensor }) => tensor));
  const metadata = await metadataOf(model);
  const types = model.tensors.map((tensor) => ({
    ...tensor,
    type: moved.has(tensor) && tensor.type !== "F32" ? "F16" : tensor.type,
  }));
  const layout = ggufLayout(metadata, types);
  await checkRoom({ folder: dirname(output), bytes: layout.size, wayOut: "free some, or write elsewhere." });
  return writeWhole(output, input, async (partial) => {
    const source = await open(model.path, "r");
    try {
      const target = await openNew(partial, source);
      try {
        const watch = watchOver(layout.size, options);
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
          await addPair(source, target, pair, members.rank, places.get(tensor) as number);
          watch.onBytes?.(tensor.weights * 2);
        }
        await target.truncate(layout.size);
      } finally {
        await target.close();
      }
    } finally {
      await source.close();
    }
    const weights = members.weights;
    return { matrices: members.matrices.length, weights, bytes: layout.size };
  });
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

/** target := W + B·A, some rows at a time. */
async function addPair(
  source: FileHandle,
  target: FileHandle,
  { matrix: { tensor, rows, columns }, a, b }: Pair,
  rank: number,
  place: number,
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
    const out = tensor.type === "F32" ? weights : Uint16Array.from(weights, (w) => halfOf(w, Kind.f16, null));
    await writeFully(target, new Uint8Array(out.buffer), place + first * columns * out.BYTES_PER_ELEMENT);
  }
}
