// One draw over the tensors of a model: what Thermostat does at every draw and perturbFile does once.

import { chooseTensors, type ModelFile, type Mover, type Skipped, type Tensor, tensorRms } from "../gguf/index.js";
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
  constructor(private readonly mover: Mover) {}

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

/** live := pristine + noise(seed, tick) for every given tensor; yields each as it is done. */
export async function* drawTensors(
  mover: Mover,
  tensors: readonly Tensor[],
  settings: CheckedSettings,
  tick: number,
  rms: RmsCache,
  { signal, onProgress }: Watch = {},
): AsyncGenerator<TensorDrawn> {
  const total = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  let done = 0;
  const watch = {
    ...(signal !== undefined && { signal }),
    onBytes: (bytes: number) => {
      done += bytes;
      onProgress?.(done, total);
    },
  };
  for (const tensor of tensors) {
    signal?.throwIfAborted();
    const sigma = await tensorSigma(settings.scale, settings.sigma, { tensor, rms: () => rms.of(tensor) });
    if (sigma.sigma === 0) {
      await mover.restore(tensor, watch);
      yield { tensor, sigma, changed: 0 };
      continue;
    }
    const move = makeMove(supportedFormat(tensor.type, `tensor ${tensor.name}: `), {
      ...sigma,
      key: streamKey(settings.seed, tensor.name),
      tick,
      rounding: settings.rounding,
      index: 0,
      steps: null,
      rowLength: 1,
    });
    yield { tensor, sigma, changed: await mover.perturb(tensor, move, watch) };
  }
}
