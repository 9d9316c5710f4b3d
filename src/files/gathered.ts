// Small tensors that lie beside one another in a file, read at once and looked at in memory: where a model has tens of thousands of them, most of the
// time goes into asking for each. Rests on the kernels' calls on bytes, which give what those on files give. Reads only.

import type { Kernels } from "../kernels/contract.js";
import type { Census, CensusColumns } from "../laws/census.js";
import { becameShorter, formatOf, type Reader } from "./live/live-tensors.js";
import type { ModelFile, Tensor } from "./tensor.js";
import type { TensorBytes } from "./tensor-bytes.js";

/** Of a larger tensor, reading takes longer than asking. */
const SMALL = 2 ** 16;
/** Bytes of a file that are held at a time, and tensors in them: between two such runs, the event loop has its turn. */
const MOST_BYTES = 2 ** 22;
const MOST_TENSORS = 1024;

/** The tensors of a model, in its order, in runs: of one tensor, or of small ones that lie one behind the other. */
export function* runsOf({ tensors }: Pick<ModelFile, "tensors">): Generator<readonly Tensor[]> {
  let run: Tensor[] = [];
  for (const tensor of tensors) {
    const [first] = run;
    const last = run.at(-1);
    const goesOn =
      first !== undefined &&
      last !== undefined &&
      run.length < MOST_TENSORS &&
      Math.max(first.bytes, tensor.bytes) <= SMALL &&
      tensor.part === first.part &&
      tensor.offset >= last.offset + last.bytes &&
      tensor.offset + tensor.bytes - first.offset <= MOST_BYTES;
    if (!goesOn && first !== undefined) {
      yield run;
      run = [];
    }
    run.push(tensor);
  }
  if (run.length > 0) yield run;
}

/** The bytes of a run of tensors, and what a `Reader` finds out of them. */
export class Gathered implements Pick<Reader, "sumSquares" | "census">, Pick<TensorBytes, "read"> {
  private constructor(
    private readonly bytes: Uint8Array,
    private readonly from: number,
    private readonly kernels: Kernels,
  ) {}

  /**
   * @param run one of {@link runsOf}
   * @throws BrownianError truncated-gguf, file-access
   */
  static async read({ parts }: ModelFile, run: readonly Tensor[], file: TensorBytes, kernels: Kernels): Promise<Gathered> {
    const [first, last] = [run[0] as Tensor, run.at(-1) as Tensor];
    const bytes = new Uint8Array(last.offset + last.bytes - first.offset);
    if ((await file.read(first, bytes)) < bytes.length) throw becameShorter(parts[first.part]?.path ?? "the model", last);
    return new Gathered(bytes, first.offset, kernels);
  }

  async sumSquares(tensor: Tensor): Promise<number> {
    return this.kernels.sumSquares(this.of(tensor), formatOf(tensor), null, 1, 0, 0);
  }

  async census(tensor: Tensor, columns?: CensusColumns): Promise<Census> {
    return this.kernels.census(this.of(tensor), formatOf(tensor), columns, 0);
  }

  /** As `TensorBytes.read`. */
  async read(tensor: Tensor, bytes: Uint8Array, from = 0): Promise<number> {
    bytes.set(this.of(tensor).subarray(from, from + bytes.length));
    return bytes.length;
  }

  private of({ offset, bytes }: Tensor): Uint8Array {
    return this.bytes.subarray(offset - this.from, offset - this.from + bytes);
  }
}
