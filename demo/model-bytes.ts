// A GGUF model in memory, and moved copies of it: what `brownian perturb` does to a file, byte for byte, without files.

import { gguf } from "@huggingface/gguf";
import { GGML_TYPES } from "../src/files/containers/ggml-types.js";
import { BrownianError, perturb } from "../src/index.web.js";
import { selection } from "../src/kernels/select.js";
import { encodedFormat, formatNamed } from "../src/lattice/formats.js";
import { meanSquaresOf, whole } from "../src/laws/mean-squares.js";
import { Rounding } from "../src/laws/numbers.js";
import { TensorDose } from "../src/thermostat/dose.js";

export interface MovableTensor {
  readonly name: string;
  readonly type: string;
  readonly weights: number;
  readonly offset: number;
  readonly bytes: number;
  readonly rms: number;
  /** What noise gives it; undefined where floats have no rails. */
  readonly dose: TensorDose | undefined;
}

export interface Moved {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Weights whose code differs from the pristine one. */
  readonly changed: number;
}

export class ModelBytes {
  private constructor(
    readonly pristine: Uint8Array<ArrayBuffer>,
    readonly tensors: readonly MovableTensor[],
    /** In the order of their numbers. */
    readonly vocabulary: readonly string[],
  ) {}

  /** @throws BrownianError corrupt-gguf, truncated-gguf, unsupported-type */
  static async read(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<ModelBytes> {
    const parsed = await gguf(name, { fetch: rangesOf(bytes) }).catch((cause: Error) => {
      throw new BrownianError("corrupt-gguf", `The model ${name} does not parse: ${cause.message}.`, { cause });
    });
    const metadata = parsed.metadata as unknown as Record<string, unknown>;
    const alignment = Number(metadata["general.alignment"] ?? 32);
    const data = Math.ceil(parsed.tensorInfoByteRange[1] / alignment) * alignment;
    const tensors = parsed.tensorInfos.map((info): MovableTensor => {
      const type = GGML_TYPES.get(info.dtype);
      const format = type && formatNamed(type.name);
      if (type === undefined || format === undefined)
        throw new BrownianError("unsupported-type", `${name}: tensor ${info.name} has a type that cannot be moved.`);
      const weights = info.shape.reduce((product, n) => product * Number(n), 1);
      const offset = data + Number(info.offset);
      const length = (weights / type.weights) * type.bytes;
      if (offset + length > bytes.length)
        throw new BrownianError("truncated-gguf", `${name} ends before its tensor ${info.name}: load it again.`);
      const { kernels } = selection();
      const encoded = encodedFormat(format);
      const own = bytes.subarray(offset, offset + length);
      const rms = Math.sqrt(kernels.sumSquares(own, encoded, null, 1, 0, 0) / weights);
      const squares = meanSquaresOf(encoded, Rounding.matched);
      const dose =
        format.lattice && new TensorDose(new Float32Array(kernels.census(own, encoded, undefined, 0)), encoded, squares, false);
      return { name: info.name, type: type.name, weights, offset, bytes: length, rms, dose };
    });
    return new ModelBytes(bytes, tensors, metadata["tokenizer.ggml.tokens"] as string[]);
  }

  /** Weights that move. */
  get weights(): number {
    return this.tensors.reduce((sum, tensor) => sum + tensor.weights, 0);
  }

  /** The file with every tensor moved by noise of sigma times its RMS. */
  moved(sigma: number, seed: number, tick: number): Moved {
    const bytes = this.pristine.slice();
    let changed = 0;
    for (const { name, type, offset, bytes: length, rms, dose } of this.tensors) {
      const asked = Math.fround(sigma * rms);
      const law = asked > 0 && dose !== undefined ? whole(dose.dose(asked)).law : asked;
      changed += perturb(bytes.subarray(offset, offset + length), { type, name, seed, tick, sigma: law }).changed;
    }
    return { bytes, changed };
  }

  tensor(name: string): MovableTensor {
    const found = this.tensors.find((tensor) => tensor.name === name);
    if (found === undefined) throw new BrownianError("no-such-tensor", `The model has no tensor ${name}.`);
    return found;
  }
}

/** Answers the parser's requests for ranges from memory. */
function rangesOf(bytes: Uint8Array<ArrayBuffer>): typeof fetch {
  return async (_, init) => {
    const [from, last] = (new Headers(init?.headers).get("range")?.match(/\d+/g) ?? []).map(Number) as [number, number];
    const headers = { "content-range": `bytes ${from}-${last}/${bytes.length}` };
    return new Response(bytes.slice(from, last + 1), { headers });
  };
}
