// `perturb` for large tensors without holding up the event loop: on threads where there are any, else chunk by chunk between
// events.

import { BrownianError } from "../errors.js";
import type { Kernels } from "../kernels/contract.js";
import { selection } from "../kernels/select.js";
import { inSlices } from "../kernels/turns.js";
import type { Move } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import { isThere } from "../memory.js";
import { checkOptions, type Names } from "../options.js";
import { checkedMove, type Moved, PERTURB, type PerturbOptions } from "./perturb.js";

/** What {@link perturbAsync} is told: as `perturb`, and how it is stopped and watched. */
export interface PerturbAsyncOptions extends PerturbOptions {
  /** Stops between chunks; the data is then moved in part (give `undo` to bring it back). */
  readonly signal?: AbortSignal;
  /** Called with weights done and weights in all. */
  readonly onProgress?: (done: number, total: number) => void;
}

const NAMES: Names<PerturbAsyncOptions> = { ...PERTURB, signal: true, onProgress: true };

/** Weights a chunk: tens of milliseconds of one thread, a few milliseconds of JavaScript's. */
const CHUNK = { threads: 256 * SUM_LEAF, eventLoop: SUM_LEAF } as const;

/**
 * Like {@link perturb}, without holding up the event loop: the same bytes, whatever the number of threads. What is written to
 * the data before it is done may be lost; `step` may change at once. Threads work on copies, so that the buffer may be
 * transferred or become smaller meanwhile: that is an error, not a crash. Data in a SharedArrayBuffer they move where it lies, which is quicker.
 *
 * @returns a promise of how many weights `data` has, and how many of them changed
 * @throws BrownianError as `perturb`, and `usage` where the data's buffer is transferred away or shrinks meanwhile; the signal's reason
 * when it is aborted
 * @example
 * const bytes = new Uint8Array(34 * 1e6); // 32 million Q8_0 weights
 * await perturbAsync(bytes, { type: "Q8_0", sigma: 1e-3, seed: 42n });
 */
export async function perturbAsync(
  data: Uint8Array,
  options: PerturbAsyncOptions,
  kernels: Kernels = selection().kernels,
): Promise<Moved> {
  const { bytes, undo, move: checked, weights } = checkedMove(data, checkOptions("perturbAsync", options, NAMES));
  const { signal, onProgress } = options;
  const move: Move = { ...checked, steps: checked.steps?.slice() ?? null };
  if (!isThere(bytes, bytes.length)) throw gone(); // reading the last options may have run code, too
  undo?.set(bytes);
  const { length } = bytes;
  const blockWeights = move.format[Field.weights] as number;
  const blockBytes = move.format[Field.bytes] as number;
  const chunk = kernels.perturbAsync === undefined ? CHUNK.eventLoop : CHUNK.threads;
  let changed = 0;
  let done = 0;
  /** Moves what comes next; what happened after it is told with its count. */
  const next = () => {
    signal?.throwIfAborted();
    if (!isThere(bytes, length)) throw gone();
    const count = Math.min(chunk, weights - done);
    const from = (done / blockWeights) * blockBytes;
    const data = bytes.subarray(from, from + (count / blockWeights) * blockBytes);
    return { data, partMove: { ...move, index: move.index + done }, count };
  };
  const moved = (count: number, here: number) => {
    changed += here;
    done += count;
    onProgress?.(done, weights);
    return done < weights;
  };
  if (weights === 0) return { weights, changed };
  if (kernels.perturbAsync === undefined) {
    await inSlices(() => {
      const { data: part, partMove, count } = next();
      return moved(count, kernels.perturb(part, partMove));
    });
    return { weights, changed };
  }
  for (let more = true; more; ) {
    const { data: part, partMove, count } = next();
    const here = await kernels.perturbAsync(part, partMove, signal).catch((error) => {
      throw isThere(bytes, length) ? error : gone();
    });
    more = moved(count, here);
  }
  return { weights, changed };
}

function gone(): BrownianError {
  return new BrownianError(
    "usage",
    "data's memory went away while its weights were moved: its buffer was transferred (it is detached), or became smaller.",
  );
}
