// brownian inspect: the tensors of a model, their sizes and steps, and how many of their weights a sigma would move.

import { open } from "node:fs/promises";
import { Command } from "commander";
import { type ModelFile, openReader, readModel, type Tensor, tensorRms } from "../files/index.js";
import { readFully } from "../files/transfer.js";
import { selection } from "../kernels/select.js";
import { stepsOf } from "../lattice/decode.js";
import { type Format, formatNamed } from "../lattice/formats.js";
import { moveProbability } from "../lattice/move-probability.js";
import { bytes, grouped, percent, significant, table } from "../report/table.js";
import type { Invocation } from "./command.js";
import { parseNumber } from "./options.js";
import { withProgress } from "./progress.js";

interface Options {
  readonly sigma: number;
  readonly json?: boolean;
}

interface Line {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly number[];
  readonly weights: number;
  readonly bytes: number;
  /** Null for types that cannot move. */
  readonly rms: number | null;
  readonly medianStep: number | null;
  /** Share of the weights that a `matched` draw at this sigma (in RMS) moves, away from the rails. */
  readonly expectedMoves: number | null;
}

/** Blocks that the median step is taken of, evenly spread over the tensor; all of them where there are no more. */
const SAMPLED_BLOCKS = 4096;

export function inspectCommand({ signal }: Invocation): Command {
  return new Command("inspect")
    .description("show a model's tensors: type, shape, RMS, median step, and the moves to expect for a sigma")
    .argument("<model>", "GGUF model")
    .option("-s, --sigma <number>", "noise in units of each tensor's RMS", parseNumber, 0.05)
    .option("--json", "print one JSON document")
    .action((model: string, options: Options) => inspect(model, options, signal));
}

async function inspect(path: string, { sigma, json }: Options, signal: AbortSignal): Promise<void> {
  const model = await readModel(path);
  const lines = await withProgress("reading weights", (onProgress) => measure(model, sigma, signal, onProgress));
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ model: path, architecture: model.architecture, bytes: model.size, sigma, tensors: lines }, null, 2)}\n`,
    );
    return;
  }
  const cell = (x: number | null, write: (x: number) => string) => (x === null ? "-" : write(x));
  const rows = lines.map((line) => [
    line.name,
    line.type,
    line.shape.join(" x "),
    cell(line.rms, significant),
    cell(line.medianStep, significant),
    cell(line.expectedMoves, percent),
  ]);
  const weights = lines.reduce((sum, line) => sum + line.weights, 0);
  const head = ["tensor", "type", "shape", "RMS", "median step", `moves at σ = ${significant(sigma)} RMS`];
  process.stdout.write(`${table([head, ...rows], [3, 4, 5])}\n\n`);
  process.stdout.write(`${model.architecture}, ${grouped(weights)} weights in ${lines.length} tensors, ${bytes(model.size)}\n`);
}

async function measure(
  model: ModelFile,
  sigma: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Line[]> {
  const reader = await openReader(model.path, selection().kernels);
  const file = await open(model.path, "r");
  const total = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const lines: Line[] = [];
  let done = 0;
  try {
    for (const tensor of model.tensors) {
      signal.throwIfAborted();
      const { name, type, shape, weights } = tensor;
      const format = formatNamed(type);
      const movable = format !== undefined && format.lattice?.step !== "external" && weights > 0;
      const rms = movable ? await tensorRms(reader, tensor) : null;
      const steps = movable ? await sampleSteps(file, tensor, format) : null;
      lines.push({
        name,
        type,
        shape,
        weights,
        bytes: tensor.bytes,
        rms,
        medianStep: steps === null ? null : median(steps),
        expectedMoves:
          steps === null || rms === null
            ? null
            : mean(steps.map((step) => (step > 0 ? moveProbability((sigma * rms) / step) : 0))),
      });
      done += tensor.bytes;
      onProgress(done, total);
    }
  } finally {
    await file.close();
    await reader.close();
  }
  return lines;
}

async function sampleSteps(file: Awaited<ReturnType<typeof open>>, tensor: Tensor, format: Format): Promise<Float32Array> {
  const blocks = tensor.bytes / format.bytes;
  const count = Math.min(blocks, SAMPLED_BLOCKS);
  if (count === blocks) {
    const all = new Uint8Array(tensor.bytes);
    await readFully(file, all, tensor.offset);
    return stepsOf(format, all);
  }
  // Runs of neighbouring blocks, evenly spread.
  const runs = 64;
  const run = count / runs;
  const sample = new Uint8Array(count * format.bytes);
  for (let i = 0; i < runs; i++) {
    const first = Math.floor((i * (blocks - run)) / (runs - 1));
    const part = sample.subarray(i * run * format.bytes, (i + 1) * run * format.bytes);
    await readFully(file, part, tensor.offset + first * format.bytes);
  }
  return stepsOf(format, sample);
}

function median(values: Float32Array): number {
  const sorted = values.slice().sort();
  return sorted[Math.floor(sorted.length / 2)] as number;
}

function mean(values: Float32Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
