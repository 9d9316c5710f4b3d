// Importance matrices: what llama.cpp's `llama-imatrix` measured of a model's activations, as a GGUF file (tools/imatrix of llama.cpp, as of
// 2025-07): `general.type` = "imatrix"; of each weight matrix two F32 tensors, `<name>.in_sum2`, the sum of the squares of every input
// column over the tokens of a text, and `<name>.counts`, how many tokens those were; one row and one count for each expert. Reads only.

import { type FileHandle, open } from "node:fs/promises";
import { BrownianError, shown } from "../errors.js";
import { readModel } from "./containers/index.js";
import { asFileError } from "./file-errors.js";
import type { ModelFile, Tensor } from "./tensor.js";
import { readFully } from "./transfer.js";

/** E[x_j^2] of the inputs of one weight matrix (of one for each expert, one after the other). */
export interface Importance {
  /** `width` of them for each matrix; NaN throughout a matrix whose expert no token came to. */
  readonly squares: Float64Array;
  /** Columns: the length of a row of the tensor. */
  readonly width: number;
  /** Weights a matrix. */
  readonly matrix: number;
}

const SUMS = ".in_sum2";
const COUNTS = ".counts";
/** Of a model's matrices, the share that must be in the file: less is another model's, or one that was not finished. */
const LEAST_COVERED = 1 / 2;

/**
 * Reads the importance matrix at `path`, checked against the model that it is to be used with: by tensor name. Tensors that it does not have
 * (embeddings, norms, usually the output) are not in the map.
 * @throws BrownianError not-gguf, corrupt-gguf (sums or counts that cannot be), usage (no importance matrix, or another model's); as `readModel`
 *
 * @example
 * const importance = await readImatrix("imatrix.gguf", await readModel("model.gguf"));
 * importance.get("blk.0.attn_q.weight")?.squares[0]; // E[x_0^2]
 */
export async function readImatrix(path: string, model: ModelFile): Promise<ReadonlyMap<string, Importance>> {
  const file = await readModel(path).catch((error) => {
    if (!(error instanceof BrownianError) || error.code !== "not-gguf") throw error;
    throw new BrownianError(
      "not-gguf",
      `${path} is no importance matrix in GGUF format. One in the old format (.dat) can be converted: llama-imatrix --in-file ${path} -o imatrix.gguf.`,
      { cause: error },
    );
  });
  const { "general.type": type } = file.metadata;
  if (type !== "imatrix") {
    throw new BrownianError(
      "usage",
      `${path} is no importance matrix (its general.type is ${type === undefined ? "missing" : shown(type)}, not "imatrix"): make one of the model with llama-imatrix.`,
    );
  }
  const tensors = new Map(file.tensors.map((tensor) => [tensor.name, tensor]));
  const ofModel = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const names = [...tensors.keys()].filter((name) => name.endsWith(SUMS)).map((name) => name.slice(0, -SUMS.length));
  const stranger = names.find((name) => !ofModel.has(name));
  if (stranger !== undefined) throw otherModel(path, model, `it has ${stranger}, which the model has not`);
  checkCovered(path, model, new Set(names));

  const importance = new Map<string, Importance>();
  const handle = await open(path, "r").catch((error) => {
    throw asFileError(error, path);
  });
  const values = async (name: string) => readValues(handle, path, tensors.get(name), name);
  try {
    for (const name of names) {
      const [sums, counts] = [await values(name + SUMS), await values(name + COUNTS)];
      importance.set(name, means(path, model, ofModel.get(name) as Tensor, sums, counts));
    }
  } finally {
    await handle.close();
  }
  return importance;
}

/** The numbers of a tensor of the matrix's file. */
async function readValues(file: FileHandle, path: string, tensor: Tensor | undefined, name: string): Promise<Float32Array> {
  const wrong = (what: string) => new BrownianError("corrupt-gguf", `${path}${what}: make it anew.`);
  if (tensor === undefined) throw wrong(` has no tensor ${name}`);
  if (tensor.type !== "F32") throw wrong(`: ${name} is ${tensor.type}, not F32`);
  const values = new Float32Array(tensor.weights);
  const bytes = await readFully(file, new Uint8Array(values.buffer), tensor.offset).catch((error) => {
    throw asFileError(error, path);
  });
  if (bytes < tensor.bytes) throw wrong(` became shorter than its tensor ${name} needs`);
  return values;
}

function otherModel(path: string, model: ModelFile, why: string): BrownianError {
  return new BrownianError("usage", `${path} is the importance matrix of another model than ${model.path}: ${why}.`);
}

function checkCovered(path: string, model: ModelFile, names: ReadonlySet<string>): void {
  const matrices = model.tensors.filter(({ name, shape }) => /^blk\..*\.weight$/.test(name) && (shape[1] ?? 1) > 1);
  const missing = matrices.filter(({ name }) => !names.has(name));
  const covered = matrices.length - missing.length;
  if (names.size > 0 && covered >= LEAST_COVERED * matrices.length) return;
  const some = missing.slice(0, 3).map(({ name }) => name);
  throw new BrownianError(
    "usage",
    `${path} has only ${covered} of the ${matrices.length} weight matrices of ${model.path}` +
      `${some.length > 0 ? ` (${some.join(", ")}${missing.length > some.length ? ", ..." : ""} are missing)` : ""}: make it anew, of this model.`,
  );
}

/** E[x_j^2] = sums / counts. */
function means(path: string, model: ModelFile, tensor: Tensor, sums: Float32Array, counts: Float32Array): Importance {
  const { name, shape, weights } = tensor;
  const width = shape[0] ?? 1;
  const matrix = width * (shape[1] ?? 1);
  const matrices = matrix > 0 ? weights / matrix : 0;
  const columns = width * matrices;
  if (sums.length !== columns)
    throw otherModel(path, model, `${name} has ${columns} columns in the model, but ${sums.length} in ${path}`);
  if (counts.length !== 1 && counts.length !== matrices)
    throw otherModel(path, model, `${name} has ${matrices} matrices in the model, but ${counts.length} counts in ${path}`);
  const wrong = (what: string) => new BrownianError("corrupt-gguf", `${path}: ${name} ${what}. Make it anew.`);
  for (const count of counts) if (!(count >= 0 && count < Number.POSITIVE_INFINITY)) throw wrong(`was counted ${count} times`);
  if (counts.every((count) => count === 0)) throw wrong("has a count of 0: no token came to it");
  const squares = new Float64Array(columns);
  for (let m = 0; m < matrices; m++) {
    const count = counts[counts.length === 1 ? 0 : m] as number;
    let total = 0;
    for (let j = m * width; j < (m + 1) * width; j++) {
      const sum = sums[j] as number;
      if (!(sum >= 0 && sum < Number.POSITIVE_INFINITY)) throw wrong(`has a sum of squares of ${sum} in column ${j % width}`);
      squares[j] = count === 0 ? Number.NaN : sum / count;
      total += sum;
    }
    if (count > 0 && total === 0) throw wrong(`has sums of 0 only${matrices > 1 ? ` (expert ${m})` : ""}`);
  }
  return { squares, width, matrix };
}
