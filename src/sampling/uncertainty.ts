// How sure an ensemble is, and of what: the entropy of its mean prediction is what its members are unsure of themselves, plus what they
// disagree about (Houlsby et al. 2011; Depeweg et al. 2018). Pure functions.
//
//   H(mean p) = mean H(p) + I,   I = mean KL(p || mean p) >= 0

import { BrownianError, checkInteger, checkList } from "../errors.js";
import { entropy } from "./softmax.js";

/** The uncertainty of an ensemble about one outcome, in nats. */
export interface EnsembleEntropy {
  /** H(mean p): of the mean prediction. */
  readonly total: number;
  /** mean H(p): what every member is unsure of itself, whichever weights it has. */
  readonly expected: number;
  /** The mutual information of outcome and weights, total - expected: what the members disagree about. 0 where they agree. */
  readonly information: number;
}

/** Of an ensemble's law: 2^31 of them take 16 GiB. */
const MOST_OUTCOMES = 2 ** 31 - 1;

/**
 * The mean of predictions that come one after the other.
 *
 * @example
 * const ensemble = new Ensemble(2);
 * for (const p of [[1, 0], [0, 1]]) ensemble.add(p);
 * ensemble.entropy(); // { total: 0.693..., expected: 0, information: 0.693... }
 */
export class Ensemble {
  private readonly sum: Float64Array;
  private entropies = 0;
  private count = 0;

  /** @param size how many outcomes there are */
  constructor(size: number) {
    this.sum = new Float64Array(checkInteger("size", size, 1, MOST_OUTCOMES));
  }

  /** @throws BrownianError usage for what is no law over these outcomes */
  add(probabilities: ArrayLike<number>): void {
    const { sum } = this;
    checkList("probabilities", probabilities);
    if (probabilities.length !== sum.length)
      throw new BrownianError("usage", `The members' laws are over ${sum.length} and ${probabilities.length} outcomes.`);
    this.entropies += entropy(probabilities);
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (probabilities[i] as number);
    this.count++;
  }

  /** The mean prediction. */
  mean(): Float64Array {
    return this.sum.map((p) => p / this.count);
  }

  /** @throws BrownianError usage where there is no member */
  entropy(): EnsembleEntropy {
    if (this.count === 0) throw new BrownianError("usage", "An ensemble without members predicts nothing.");
    return ensembleEntropy(this.mean(), this.entropies / this.count);
  }
}

/** Of the mean prediction of an ensemble and the mean entropy of its members. I >= 0 (Jensen); rounding may leave a little less. */
export function ensembleEntropy(mean: ArrayLike<number>, expected: number): EnsembleEntropy {
  const total = entropy(mean);
  return { total, expected: Math.min(expected, total), information: Math.max(0, total - expected) };
}
