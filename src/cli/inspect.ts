// brownian inspect: the tensors of a model, their sizes and steps, and how many of their weights a sigma would move.

import { Command } from "commander";
import { BrownianError, visible } from "../errors.js";
import { Gathered, runsOf } from "../files/gathered.js";
import {
  type ModelFile,
  namesOf,
  notWeights,
  openModel,
  otherThanModel,
  type Reader,
  readModel,
  type Tensor,
  tensorRms,
} from "../files/index.js";
import { TensorBytes } from "../files/tensor-bytes.js";
import { selection } from "../kernels/select.js";
import { decode, stepsOf } from "../lattice/decode.js";
import { type Format, formatNamed } from "../lattice/formats.js";
import { moveProbability } from "../lattice/move-probability.js";
import { bytes, grouped, percent, significant, table } from "../report/table.js";
import { doseOf, Measures } from "../thermostat/draw.js";
import type { Invocation } from "./command.js";
import { parseNumber } from "./options.js";
import { MODEL } from "./perturb.js";
import { withProgress } from "./progress.js";
import { wordsText } from "./words.js";

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
  /** Standard deviation of a draw's moves at this sigma, in weight units: asked for, and given. Null where nothing can move. */
  readonly asked: number | null;
  readonly given: number | null;
  /** Share of the weights that such a draw moves, away from the rails. */
  readonly expectedMoves: number | null;
  /** Why it has no such numbers, where that is not its type. */
  readonly note?: string | undefined;
}

/** Notes of tensors that hold no weights, but numbers about weights. */
const NOT_COUNTED = /^(the scale of|measured of) /;

/** Blocks that the median step is taken of, evenly spread over the tensor; all of them where there are no more. */
const SAMPLED_BLOCKS = 4096;

export function inspectCommand({ signal }: Invocation): Command {
  return new Command("inspect")
    .description("show a model's tensors: type, shape, RMS, median step, and the moves to expect for a sigma")
    .addHelpText("after", () => wordsText("sigma", "RMS", "rails"))
    .argument("<model>", MODEL)
    .option("-s, --sigma <number>", "noise in units of each tensor's RMS", parseNumber, 0.05)
    .option("--json", "print one JSON document")
    .action((model: string, options: Options) => inspect(model, options, signal));
}

async function inspect(path: string, { sigma, json }: Options, signal: AbortSignal): Promise<void> {
  const model = await readModel(path);
  const lines = await withProgress("reading weights", (onProgress) => measure(model, sigma, signal, onProgress));
  const other = otherThanModel(model);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ model: path, architecture: model.architecture, notModel: other ?? null, bytes: model.size, sigma, tensors: lines }, null, 2)}\n`,
    );
    return;
  }
  const cell = (x: number | null, write: (x: number) => string) => (x === null ? "-" : write(x));
  const rows = lines.map((line) => [
    visible(line.name),
    visible(line.type),
    line.shape.join(" x "),
    cell(line.rms, significant),
    cell(line.medianStep, significant),
    cell(line.given, (given) => significant(line.rms === 0 ? 0 : given / (line.rms as number))),
    line.note === undefined ? cell(line.expectedMoves, percent) : visible(line.note),
  ]);
  const weights = lines.reduce((sum, line) => sum + (NOT_COUNTED.test(line.note ?? "") ? 0 : line.weights), 0);
  const head = ["tensor", "type", "shape", "RMS", "median step", "σ given", `moves at σ = ${significant(sigma)} RMS`];
  process.stdout.write(`${table([head, ...rows], [3, 4, 5, 6])}\n\n`);
  process.stdout.write(
    `${visible(model.architecture)}, ${grouped(weights)} weights in ${lines.length} tensors, ${bytes(model.size)}${
      model.parts.length === 1 ? "" : ` in ${model.parts.length} files`
    }\n`,
  );
  if (other !== undefined) process.stdout.write(`This is ${visible(other)}.\n`);
}

/** Large tensors that are looked at at once: some of the time is waiting. */
const AT_ONCE = 32;

async function measure(
  model: ModelFile,
  sigma: number,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<Line[]> {
  const { kernels } = selection();
  const reader = await openModel(model, kernels);
  const file = await TensorBytes.open(model.parts.map((part) => part.path));
  const total = model.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const names = namesOf(model);
  const lines = new Map<Tensor, Line>();
  const runs = runsOf(model); // one for all workers: where one fails, it ends
  let done = 0;
  const worker = async () => {
    for (const run of runs) {
      signal.throwIfAborted();
      const inMemory = run.length > 1 ? await Gathered.read(model, run, file, kernels) : undefined;
      const look: Look = { reader: inMemory ?? reader, file: inMemory ?? file, model, sigma, names };
      for (const tensor of run) {
        lines.set(tensor, await lineOf(tensor, look));
        done += tensor.bytes;
      }
      onProgress(done, total);
    }
  };
  const workers = Array.from({ length: AT_ONCE }, worker);
  try {
    await Promise.all(workers);
  } finally {
    await Promise.allSettled(workers); // what is read from is closed only then
    await file.close();
    await reader.close();
  }
  await (await openModel(model, kernels)).close(); // says so if it is another file by now
  return model.tensors.map((tensor) => lines.get(tensor) as Line);
}

/** What tensors are looked at with. */
interface Look {
  readonly reader: Pick<Reader, "sumSquares" | "census">;
  readonly file: Pick<TensorBytes, "read">;
  readonly model: ModelFile;
  readonly sigma: number;
  readonly names: ReturnType<typeof namesOf>;
}

async function lineOf(tensor: Tensor, { reader, file, model, sigma, names }: Look): Promise<Line> {
  const { name, type, shape, weights } = tensor;
  const format = formatNamed(type);
  const none = notWeights(tensor, names);
  const movable = none === undefined && format !== undefined && format.lattice?.step !== "external" && weights > 0;
  const rms = movable ? await finiteRms(reader, tensor) : null;
  // Nothing of a tensor is kept for the next.
  const measures = new Measures(reader, model);
  const dose =
    rms === null ? null : await doseOf(tensor, { sigma: Math.fround(sigma * rms), inSteps: false }, "matched", measures);
  const broken = movable && rms === null ? await notFinite(file, tensor, format) : undefined;
  const steps = movable ? await sampleSteps(file, tensor, format) : null;
  return {
    name,
    type,
    shape,
    weights,
    bytes: tensor.bytes,
    rms,
    medianStep: steps === null ? null : median(steps),
    asked: dose?.asked ?? null,
    given: dose?.given ?? null,
    expectedMoves:
      steps === null || dose === null ? null : mean(steps.map((step) => (step > 0 ? moveProbability(dose.law / step) : 0))),
    note: none ?? broken,
  };
}

/** Null where the weights have none: some are infinite or NaN. */
async function finiteRms(reader: Look["reader"], tensor: Tensor): Promise<number | null> {
  try {
    return await tensorRms(reader, tensor);
  } catch (error) {
    if (error instanceof BrownianError && error.code === "corrupt-gguf") return null;
    throw error;
  }
}

/** Blocks that a message names, at most, and bytes that are looked at at a time. */
const NAMED = 3;
const LOOKED = 2 ** 20;

/** Which blocks of a tensor hold weights that are infinite or NaN. */
async function notFinite(file: Look["file"], tensor: Tensor, format: Format): Promise<string> {
  const part = new Uint8Array(Math.floor(LOOKED / format.bytes) * format.bytes);
  const blocks: number[] = [];
  let count = 0;
  for (let done = 0; done < tensor.bytes; done += part.length) {
    const data = part.subarray(0, Math.min(part.length, tensor.bytes - done));
    await file.read(tensor, data, done);
    const weights = decode(format, data);
    for (let block = 0; block * format.weights < weights.length; block++) {
      if (weights.subarray(block * format.weights, (block + 1) * format.weights).every(Number.isFinite)) continue;
      if (count++ < NAMED) blocks.push(done / format.bytes + block);
    }
  }
  const kind = format.weights === 1 ? "weight" : "block";
  return `${grouped(count)} ${kind}${count === 1 ? "" : "s"} infinite or NaN: ${blocks.join(", ")}${count > NAMED ? ", ..." : ""}`;
}

async function sampleSteps(file: Look["file"], tensor: Tensor, format: Format): Promise<Float32Array> {
  const blocks = tensor.bytes / format.bytes;
  const count = Math.min(blocks, SAMPLED_BLOCKS);
  if (count === blocks) {
    const all = new Uint8Array(tensor.bytes);
    await file.read(tensor, all);
    return stepsOf(format, all);
  }
  // Runs of neighbouring blocks, evenly spread.
  const runs = 64;
  const run = count / runs;
  const sample = new Uint8Array(count * format.bytes);
  for (let i = 0; i < runs; i++) {
    const first = Math.floor((i * (blocks - run)) / (runs - 1));
    const part = sample.subarray(i * run * format.bytes, (i + 1) * run * format.bytes);
    await file.read(tensor, part, first * format.bytes);
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
