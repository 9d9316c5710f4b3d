// What can be asked of a model's file and of its live copy, by tensors. How it is done is mapped.ts's and positioned.ts's; open.ts chooses.

import { BrownianError } from "../../errors.js";
import type { FileWatch, LiveMemory, Prepared, TensorMove } from "../../kernels/files.js";
import type { Step } from "../../kernels/step.js";
import { encodedFormat } from "../../lattice/formats.js";
import { supportedFormat } from "../../lattice/perturb.js";
import type { Census, CensusColumns } from "../../laws/census.js";
import type { EncodedFormat } from "../../laws/move.js";
import type { Tensor } from "../tensor.js";

export interface TensorToMove {
  readonly tensor: Tensor;
  readonly move: TensorMove;
}

/** What can be asked of a model file alone. */
export interface Reader {
  /** Sum of the squares of the (pristine) weights: `Kernels.sumSquares`. */
  sumSquares(tensor: Tensor, watch?: FileWatch): Promise<number>;
  /** How many of its (pristine) codes have which step and which distance to the rails: `Kernels.census`. */
  census(tensor: Tensor, columns?: CensusColumns, watch?: FileWatch): Promise<Census>;
  close(): Promise<void>;
}

/** Moves tensors of a live file, in place. Invariant: no byte but those of codes (or floats) of the given tensors changes. */
export interface LiveTensors extends Reader {
  /** live := pristine, moved, from the tensor's first weight on. Resolves to the number of changed codes. */
  perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number>;
  /** `perturb` of all these tensors, by their moves as of this tick; those that do not move are restored. */
  draw(moves: readonly TensorToMove[], tick: number, watch?: FileWatch): Promise<number>;
  /** A step of all these tensors (kernels/files.ts). To call it with the same list and step again saves time. */
  step(moves: readonly TensorToMove[], tick: number, step: Step, watch?: FileWatch): Promise<number>;
  /** Begins to make ready what `step` would do, while nobody waits for it. Undefined where that is not worth it. */
  prepare?(moves: readonly TensorToMove[], tick: number, step: Step): Promise<Prepared | undefined>;
  /** Memory that it takes now, beside the file. */
  memory(): LiveMemory;
  /** How many codes differ from the pristine ones. */
  difference(tensor: Tensor): Promise<number>;
  /** live := pristine. */
  restore(tensor: Tensor, watch?: FileWatch): Promise<void>;
}

/** How a tensor's weights are encoded. @throws BrownianError unsupported-type */
export const formatOf = (tensor: Tensor): EncodedFormat => encodedFormat(supportedFormat(tensor.type, `tensor ${tensor.name}: `));

/** Root mean square of a tensor's (pristine) weights. @throws BrownianError corrupt-gguf where that is no finite number */
export async function tensorRms(reader: Pick<Reader, "sumSquares">, tensor: Tensor, watch?: FileWatch): Promise<number> {
  if (tensor.weights === 0) return 0;
  const rms = Math.sqrt((await reader.sumSquares(tensor, watch)) / tensor.weights);
  if (Number.isFinite(rms)) return rms;
  throw new BrownianError(
    "corrupt-gguf",
    `Tensor ${tensor.name} (${tensor.type}) holds infinite or NaN weights, so it has no RMS: leave it alone with --only, or use --scale absolute.`,
  );
}

export function becameShorter(path: string, tensor: Pick<Tensor, "name">): BrownianError {
  return new BrownianError("truncated-gguf", `${path} became shorter than its tensor ${tensor.name} needs: open it anew.`);
}
