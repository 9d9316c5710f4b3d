// What can be asked of a model's file and of its live copy, by tensors. How it is done is mapped.ts's and positioned.ts's; open.ts chooses.

import { BrownianError } from "../../errors.js";
import type { FileWatch, TensorMove } from "../../kernels/files.js";
import { encodedFormat } from "../../lattice/formats.js";
import { supportedFormat } from "../../lattice/perturb.js";
import type { Evolution } from "../../laws/evolution.js";
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
  close(): Promise<void>;
}

/** Moves tensors of a live file, in place. Invariant: no byte but those of codes (or floats) of the given tensors changes. */
export interface LiveTensors extends Reader {
  /** live := pristine, moved, from the tensor's first weight on. Resolves to the number of changed codes. */
  perturb(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number>;
  /**
   * Cells of these tensors (CELL weights each) whose draw at this tick is below `threshold` of 2^32 become pristine, moved as of this tick.
   * Resolves to the codes changed in them. To call it with the same list again saves time.
   */
  collide(moves: readonly TensorToMove[], tick: number, threshold: number, watch?: FileWatch): Promise<number>;
  /**
   * Begins to make ready what `collide` would do, while nobody waits for it. What comes back does it in no time, or does nothing and returns
   * undefined where it is not ready yet. Undefined where that is not worth it.
   */
  prepareCollide?(moves: readonly TensorToMove[], tick: number, threshold: number): (() => number | undefined) | undefined;
  /** live := live, moved. Resolves to the number of changed codes. */
  diffuse(tensor: Tensor, move: TensorMove, watch?: FileWatch): Promise<number>;
  /** One step of an evolution: `Kernels.evolve`. Resolves to the number of changed codes. */
  evolve(tensor: Tensor, move: TensorMove, law: Evolution, strength: number, watch?: FileWatch): Promise<number>;
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
