// One draw over the tensors of a model: what Thermostat does at every draw and perturbFile does once.

import {
  chooseTensors,
  type ModelFile,
  type Mover,
  type MoverWatch,
  type Reader,
  type Skipped,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../gguf/index.js";
import { makeMove, supportedFormat } from "../lattice/perturb.js";
import { streamKey } from "../noise/index.js";
import { type TensorSigma, tensorSigma } from "./scale.js";
import type { CheckedSettings, Watch } from "./settings.js";

/** What a draw did to one tensor. */
export interface TensorDrawn {
  readonly tensor: Tensor;
  /** Standard deviation of its noise, in weight units or in steps. */
  readonly sigma: TensorSigma;
  readonly changed: number;
}

/** Remembers each tensor's RMS, which never changes: it is the pristine model's. */
export class RmsCache {
  private readonly known = new Map<string, Promise<number>>();
  constructor(private readonly mover: Pick<Reader, "sumSquares">) {}

  of(tensor: Tensor): Promise<number> {
    const known = this.known.get(tensor.name);
    if (known !== undefined) return known;
    const rms = tensorRms(this.mover, tensor);
    rms.catch(() => this.known.delete(tensor.name)); // tried again next time
    this.known.set(tensor.name, rms);
    return rms;
  }
}

/** The tensors that these settings move, and those left alone with the reason. */
export function choose(model: ModelFile, settings: CheckedSettings): { chosen: readonly Tensor[]; skipped: readonly Skipped[] } {
  return chooseTensors(model, {
    ...(settings.only !== undefined && { only: settings.only }),
    skipUnsupported: settings.skipUnsupported,
  });
}

/** How a tensor is to move; its sigma may be 0. */
export interface PlannedMove {
  readonly tensor: Tensor;
  readonly sigma: TensorSigma;
  readonly move: TensorMove;
}

/** The moves of a tensor at a tick, by these settings. */
export async function planMove(tensor: Tensor, settings: CheckedSettings, tick: number, rms: RmsCache): Promise<PlannedMove> {
  const sigma = await tensorSigma(settings.scale, settings.sigma, { tensor, rms: () => rms.of(tensor) });
  const move = makeMove(supportedFormat(tensor.type, `tensor ${tensor.name}: `), {
    ...sigma,
    key: streamKey(settings.seed, tensor.name),
    tick,
    rounding: settings.rounding,
    index: 0,
    steps: null,
    rowLength: 1,
  });
  return { tensor, sigma, move };
}

/** live := pristine + noise(seed, tick) for every given tensor; yields each as it is done. */
export async function* drawTensors(
  mover: Pick<Mover, "perturb" | "restore">,
  tensors: readonly Tensor[],
  settings: CheckedSettings,
  tick: number,
  rms: RmsCache,
  watch: Watch = {},
): AsyncGenerator<TensorDrawn> {
  const moverWatch = watchOver(tensors, watch);
  for (const tensor of tensors) {
    watch.signal?.throwIfAborted();
    const { sigma, move } = await planMove(tensor, settings, tick, rms);
    if (sigma.sigma === 0) {
      await mover.restore(tensor, moverWatch);
      yield { tensor, sigma, changed: 0 };
    } else {
      yield { tensor, sigma, changed: await mover.perturb(tensor, move, moverWatch) };
    }
  }
}

/** What a mover tells of its work on these tensors, as the caller wants to hear it. */
export function watchOver(tensors: readonly Tensor[], { signal, onProgress }: Watch): MoverWatch {
  const total = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  let done = 0;
  return {
    ...(signal !== undefined && { signal }),
    ...(onProgress !== undefined && {
      onBytes: (bytes: number) => {
        done += bytes;
        onProgress(done, total);
      },
    }),
  };
}
