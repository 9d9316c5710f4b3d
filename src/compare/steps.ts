// What all of a comparison's work shares: the model, the settings, streams of noise, and steps that are taken from what is finished, or done and
// kept. Every step is a pure function of the settings and its name.

import type { Model } from "../llama/model.js";
import { Noise } from "../noise/index.js";
import { type CompareOptions, workOf } from "./plan.js";
import type { ComparisonSettings } from "./records.js";

export class Steps {
  readonly noise: Noise;
  /** To be spread into what may be aborted. */
  readonly watch: { readonly signal?: AbortSignal };
  private readonly total: number;
  private done = 0;

  constructor(
    readonly model: Model,
    readonly settings: ComparisonSettings,
    readonly options: CompareOptions,
  ) {
    const { signal } = options;
    this.noise = new Noise(BigInt(settings.seed));
    this.watch = signal === undefined ? {} : { signal };
    this.total = workOf(settings);
  }

  /** One step: taken from what is finished, or done and kept. @param work milliseconds' worth, roughly */
  async step<T>(name: string, work: number, make: () => Promise<T>): Promise<T> {
    const { signal, finished, onFinished, onProgress } = this.options;
    signal?.throwIfAborted();
    let outcome = finished?.get(name) as T | undefined;
    if (outcome === undefined) {
      outcome = await make();
      signal?.throwIfAborted(); // half a text is none
      await onFinished?.(name, outcome);
    }
    this.done += work;
    onProgress?.(Math.min(this.done, this.total), this.total);
    return outcome;
  }

  /** 64 bits for what has this name. */
  seed(name: string): bigint {
    const words = this.noise.stream(name).bits(new Uint32Array(2));
    return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
  }
}
