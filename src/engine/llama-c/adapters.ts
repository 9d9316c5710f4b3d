// Low-rank additions to a loaded model: read once, added and taken away between two batches.

import { BrownianError } from "../../errors.js";
import type { Adapter } from "../interface.js";
import type { AddonAdapter, AddonModel } from "./addon.js";
import { type Decoder, DONE } from "./decoder.js";

export class Adapters {
  private readonly loaded = new Map<Adapter, AddonAdapter>();
  private readonly decoders: Decoder[];
  /** Those that are added now, and how much of each. */
  private added: { readonly list: readonly AddonAdapter[]; readonly scales: Float32Array } | undefined;

  constructor(
    private readonly name: string,
    private readonly model: AddonModel,
    decoder: Decoder,
  ) {
    this.decoders = [decoder];
  }

  /** Adds them in this decoder, too, from now on. */
  async join(decoder: Decoder): Promise<void> {
    this.decoders.push(decoder);
    if (this.added !== undefined) await this.setIn(decoder);
  }

  /** @throws BrownianError engine-failed */
  async load(path: string): Promise<Adapter> {
    const made = await this.model.adapter(path).catch((error) => {
      const why = (error as Error).message.trim().split("\n")[0];
      throw new BrownianError("engine-failed", `The engine (llama.cpp) does not load an adapter for ${this.name}: ${why}`, {
        cause: error,
      });
    });
    const adapter: Adapter = {
      free: () => {
        if (this.loaded.delete(adapter)) made.free();
      },
    };
    this.loaded.set(adapter, made);
    return adapter;
  }

  /** @throws BrownianError closed for one that was freed */
  async set(adapters: readonly Adapter[], scales: readonly number[]): Promise<void> {
    const list = adapters.map((adapter) => {
      const made = this.loaded.get(adapter);
      if (made === undefined) throw new BrownianError("closed", `An adapter of ${this.name} was freed, or is another model's.`);
      return made;
    });
    this.added = { list, scales: Float32Array.from(scales) };
    for (const decoder of this.decoders) await this.setIn(decoder);
  }

  private setIn(decoder: Decoder): Promise<void> {
    const { list, scales } = this.added as NonNullable<typeof this.added>;
    return decoder.exclusive(() => {
      const status = decoder.context.adapt(list, scales);
      if (status !== DONE) throw decoder.failure(status);
    });
  }

  free(): void {
    for (const adapter of this.loaded.keys()) adapter.free();
  }
}
