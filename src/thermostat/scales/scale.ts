// What a scale is: how the setting of sigma becomes the standard deviation of the noise on one tensor. Each is one file beside this
// one and one line in index.ts; one that rests on a file of the user's declares here how that is asked for, and nothing
// else knows of it.

import type { ModelFile, Tensor } from "../../files/index.js";
import type { Columns } from "../../laws/move.js";
import type { Rounding } from "../../laws/numbers.js";

/** What a scale may ask about a tensor. */
export interface TensorFacts {
  readonly tensor: Tensor;
  /** Root mean square of the tensor's weights; computed once, on first use. */
  rms(): Promise<number>;
}

/** Sigma of one tensor: in weight units, or in steps of each block's own grid. */
export interface TensorSigma {
  /** Standard deviation of the noise on a weight, at least 0. */
  readonly sigma: number;
  /** Whether that is in steps of each block's own grid; if not, in weight units. */
  readonly inSteps: boolean;
  /** Where it goes by column: what sigma is multiplied with. */
  readonly columns?: Columns | undefined;
}

/** From the setting of sigma to the standard deviation of the noise on one tensor. */
export type SigmaOf = (sigma: number, facts: TensorFacts) => Promise<TensorSigma>;

/** What sigma is relative to: all that settings and reports know of it. */
export interface ScaleRule {
  /** What follows a sigma's number where it is told, such as " RMS". */
  readonly unit: string;
  /** The file that it rests on, if any. */
  readonly file?: ScaleFile;
  /** Refuses a rounding that does not go with the scale. @throws BrownianError usage @internal checked where settings enter */
  check?(rounding: Rounding): void;
  /**
   * The rule for the tensors of a model.
   * @internal thermostats call it
   * @param file what `file` asked for; empty where that is nothing
   * @throws BrownianError for a file that is wrong, or another model's
   */
  open(model: ModelFile, file: string): Promise<SigmaOf>;
}

/** The file that a scale rests on. */
export interface ScaleFile {
  /** Names it: the option of the library, and the flag of the command line. */
  readonly option: string;
  /** Of the flag, in help texts. */
  readonly summary: string;
  /** What is said where it is not given. */
  readonly missing: string;
  /** What is said where it is given, but another scale is chosen. */
  unused(file: string): string;
  /** Of a scale that goes by column: how tensors move that the file has nothing of. */
  readonly otherwise?: string;
}
