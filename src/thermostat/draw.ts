// One draw over the tensors of a model: what Thermostat does at every draw and perturbFile does once.

import {
  chooseTensors,
  type FileWatch,
  type Importance,
  type ModelFile,
  type Mover,
  type Reader,
  readImatrix,
  type Skipped,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../files/index.js";
import { makeMove, supportedFormat } from "../lattice/perturb.js";
import { streamKey } from "../noise/index.js";
import { type TensorSigma, tensorSigma } from "./scales/index.js";
import type { CheckedSettings, Watch } from "./settings.js";

/** What a draw did to one tensor. */
export interface TensorDrawn {
  readonly tensor: Tensor;
  /** Standard deviation of its noise, in weight units or in steps. */
  readonly sigma: TensorSigma;
  readonly changed: number;
}

/** What is measured of the tensors of a model: their RMS, which never changes (it is the pristine model's), and importance matrices. */
export class Measures {
  private readonly known = new Map<string, Promise<unknown>>();
  constructor(
    private readonly mover: Pick<Reader, "sumSquares">,
    private readonly model: ModelFile,
  ) {}

  rms(tensor: Tensor): Promise<number> {
    return this.once(`rms ${tensor.name}`, () => tensorRms(this.mover, tensor));
  }

  /** The importance matrix at a path, by tensor name. */
  imatrix(path: string): Promise<ReadonlyMap<string, Importance>> {
    return this.once(`imatrix ${path}`, () => readImatrix(path, this.model));
  }

  private once<T>(what: string, measure: () => Promise<T>): Promise<T> {
    const known = this.known.get(what) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const measured = measure();
    measured.catch(() => this.known.delete(what)); // tried again next time
    this.known.set(what, measured);
    return measured;
  }
}

/** The tensors that these settings move, and those left alone with the reason. */
export function choose(model: ModelFile, settings: CheckedSettings): { chosen: readonly Tensor[]; skipped: readonly Skipped[] } {
  return chooseTensors(model, settings);
}

/** How a tensor is to move; its sigma may be 0. */
export interface PlannedMove {
  readonly tensor: Tensor;
  readonly sigma: TensorSigma;
  readonly move: TensorMove;
}

/** The moves of a tensor at a tick, by these settings. */
export async function planMove(
  tensor: Tensor,
  settings: CheckedSettings,
  tick: number,
  measures: Measures,
): Promise<PlannedMove> {
  const { scale, imatrix } = settings;
  const sigma = await tensorSigma(scale, settings.sigma, {
    tensor,
    rms: () => measures.rms(tensor),
    importance: async () => (imatrix === undefined ? undefined : (await measures.imatrix(imatrix)).get(tensor.name)),
  });
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
  measures: Measures,
  watch: FileWatch = {},
): AsyncGenerator<TensorDrawn> {
  for (const tensor of tensors) {
    watch.signal?.throwIfAborted();
    const { sigma, move } = await planMove(tensor, settings, tick, measures);
    if (sigma.sigma === 0) {
      await mover.restore(tensor, watch);
      yield { tensor, sigma, changed: 0 };
    } else {
      yield { tensor, sigma, changed: await mover.perturb(tensor, move, watch) };
    }
  }
}

/** A caller's watch over work on so many bytes in all, as files take it. */
export function watchOver(total: number, { signal, onProgress }: Watch): FileWatch {
  let done = 0;
  return {
    signal,
    onBytes: (bytes) => {
      done += bytes;
      onProgress?.(done, total);
    },
  };
}
