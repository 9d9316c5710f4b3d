// The engine's part of the addon (native/engine/) as JavaScript calls it.

import { loadAddon } from "../../kernels/addon.js";

/** Raised by whoever wants loading or computing to end: the engine asks it from its own threads. */
export interface Flag {
  raise(): void;
  lower(): void;
  readonly raised: boolean;
}

/** Where a library's parts lie; `base` and `ggml` are "" where they are part of it. */
export interface LibraryPaths {
  readonly base: string;
  readonly ggml: string;
  readonly llama: string;
  /** The folder of the processors' backends. */
  readonly backends: string;
}

/** What is known of a loaded model; tokens that it has not are -1. */
export interface ModelFacts {
  readonly vocabulary: number;
  readonly trainedContext: number;
  readonly width: number;
  readonly layers: number;
  readonly parameters: number;
  readonly bytes: number;
  readonly description: string;
  readonly bos: number;
  readonly eos: number;
  readonly eot: number;
  readonly beginsWithBos: boolean;
  readonly recurrent: boolean;
  readonly hybrid: boolean;
  readonly encoder: boolean;
  readonly decoder: boolean;
  readonly chatTemplate: string | null;
}

/** Tokens that are computed at once, each at its position of its sequence; those with an output have logits after. */
export interface Batch {
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  readonly sequences: Int32Array;
  readonly outputs: Uint8Array;
}

/** A sampler's name and its arguments; native/engine/sampler_object.cc has the list. */
export type SamplerEntry = readonly [name: string, ...rest: (number | string | readonly string[] | Int32Array | Float32Array)[]];

export interface AddonSampler {
  /** Of the prompt: a grammar is not told. */
  accept(token: number): void;
  /** In the place of the last one. */
  replace(entry: SamplerEntry): void;
  reset(): void;
  free(): void;
}

/** How decoding ended: 0 well; 1 no room; 2 aborted; 3 with logits that are no numbers; below 0 a failure. */
export type Status = number;

export interface AddonContext {
  facts(): { readonly length: number; readonly batch: number; readonly microBatch: number; readonly sequences: number };
  /** `unchecked`: logits may be no numbers. `samplers`: of every output in turn, or null. `tokens`: what they chose; -1 without one, or where its grammar allows none. */
  decode(
    batch: Batch & { readonly samplers?: readonly (AddonSampler | null)[]; readonly unchecked?: boolean },
  ): Promise<{ readonly status: Status; readonly tokens: Int32Array }>;
  /**
   * Of every output in turn, what src/laws/logits.ts says of it: LogitColumn.head numbers, and one of every beta; and its likeliest token. The
   * arrays have a row of logits for each output, and are nobody else's meanwhile.
   */
  read(
    batch: Batch & {
      readonly targets: Int32Array;
      readonly betas: Float32Array;
      /** What they are compared with. */
      readonly reference?: Float32Array | undefined;
      /** Where they are kept. */
      readonly keep?: Float32Array | undefined;
      /** What their probabilities are added to. */
      readonly sums?: Float32Array | undefined;
    },
  ): Promise<{ readonly status: Status; readonly rows: Float64Array; readonly largest: Int32Array }>;
  /** What the last layer made of the tokens with an output, added up. */
  embed(batch: Batch): Promise<{ readonly status: Status; readonly sum: Float64Array }>;
  logits(token: number, out: Float32Array): Float32Array;
  clear(): void;
  remove(sequence: number, from: number, to: number): boolean;
  copy(from: number, to: number, first: number, last: number): void;
  length(sequence: number): number;
  save(sequence: number): Promise<Uint8Array>;
  restore(sequence: number, state: Uint8Array): Promise<boolean>;
  adapt(adapters: readonly AddonAdapter[], scales: Float32Array): Status;
  threads(one: number, many: number): void;
  free(): void;
}

export interface AddonAdapter {
  free(): void;
}

export interface AddonModel {
  facts(): ModelFacts;
  tokenize(text: string, add: boolean, special: boolean): Int32Array;
  detokenize(tokens: Int32Array, special: boolean): string;
  endsText(token: number): boolean;
  context(
    parameters: Uint8Array,
    places: { readonly abort: number; readonly abortData: number },
    flag: Flag,
  ): Promise<AddonContext>;
  sampler(entries: readonly SamplerEntry[]): AddonSampler;
  adapter(path: string): Promise<AddonAdapter>;
  free(): void;
}

interface EngineAddon {
  readonly Flag: new () => Flag;
  describe(paths: LibraryPaths): { readonly version: string; readonly model: Uint8Array; readonly context: Uint8Array };
  /** Loads one more backend from this file (none: ""); whether layers can go to anything but processors. */
  offloadsWith(paths: LibraryPaths, backend: string): Promise<boolean>;
  load(
    paths: LibraryPaths,
    path: string,
    parameters: Uint8Array,
    places: { readonly progress: number; readonly progressData: number },
    flag: Flag,
  ): Promise<AddonModel>;
}

/** The addon's engine. @throws Error where there is no addon */
export const engineAddon = (): EngineAddon => loadAddon().engine as EngineAddon;
