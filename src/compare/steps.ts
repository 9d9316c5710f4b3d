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
  private total: number;
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
    this.tell(0);
  }

  /** Says that so many milliseconds' worth are done. */
  advance(work: number): void {
    this.done += work;
    this.tell(0);
  }

  /** Says that so many are not to be done. */
  spare(work: number): void {
    this.total -= work;
    this.tell(0);
  }

  private tell(underWay: number): void {
    this.options.onProgress?.(Math.min(this.done + underWay, this.total), this.total);
  }

  /**
   * One step: taken from what is finished, or done and kept.
   * @param work milliseconds' worth, roughly
   * @param make is given what to tell which share of that it has done
   */
  async step<T>(name: string, work: number, make: (tell: (share: number) => void) => Promise<T>): Promise<T> {
    const { signal, finished, onFinished } = this.options;
    signal?.throwIfAborted();
    let outcome = finished?.get(name) as T | undefined;
    if (outcome === undefined) {
      outcome = await make((share) => this.tell(share * work));
      signal?.throwIfAborted(); // half a text is none
      await onFinished?.(name, outcome);
    }
    this.advance(work);
    return outcome;
  }

  /** 64 bits for what has this name. */
  seed(name: string): bigint {
    const words = this.noise.stream(name).bits(new Uint32Array(2));
    return (BigInt(words[1] as number) << 32n) | BigInt(words[0] as number);
  }
}
