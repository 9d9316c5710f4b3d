// What chooses the tokens of one text: a chain of llama.cpp's samplers, whose dice may be exchanged.

import { COLDEST } from "../dice.js";
import type { Chooser, Sampling } from "../interface.js";
import type { AddonSampler } from "./addon.js";
import { diceOf } from "./samplers.js";

/** What chooses, in the addon's memory. */
export class Chain implements Chooser {
  private readonly rolls: boolean;

  constructor(
    readonly sampler: AddonSampler,
    { temperature, mirostat }: Sampling,
  ) {
    this.rolls = temperature >= COLDEST && mirostat === undefined;
  }

  reseed(seed: number): void {
    if (this.rolls) this.sampler.replace(diceOf(seed));
  }

  free(): void {
    this.sampler.free();
  }
}
