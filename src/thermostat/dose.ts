// The dose: what sigma a tensor's law of moves must have so that its weights get the sigma that was asked for. Codes at the rails cannot
// move, and those near them not far, so their share of the variance goes to the others (docs/theory/dose.md):
//
//   mean over all weights of (w' - w)^2 = sum over codes of step^2 g_d(sigma'^2 / step^2) / n = sigma^2
//
// with g_d(v) the mean square of moves of variance v, in steps, at a distance d from the rail (laws/mean-squares.ts), and the codes
// counted by step and distance (laws/census.ts). Whole numbers in, float64 in one order: the same sigma' on every backend.

import { classesOf, stepOfRow } from "../laws/census.js";
import { bitsOf, floatOf } from "../laws/float-bits.js";
import { meanGap } from "../laws/levels.js";
import type { MeanSquares, Pieces } from "../laws/mean-squares.js";
import type { EncodedFormat } from "../laws/move.js";
import { Field, Levels } from "../laws/numbers.js";

/** Noise of one tensor: asked for, and given. Standard deviations, in weight units or in steps. */
export interface Dose {
  /** What was asked for: the root of the mean of (w' - w)^2 over all weights of the tensor. */
  readonly asked: number;
  /** Sigma of the law that weights away from the rails move by. */
  readonly law: number;
  /** What that gives: less than was asked for where too few codes can move far enough. */
  readonly given: number;
}

/** Whether what is given is not what was asked for: by more than a hundredth in the variance. */
export const givesOther = ({ asked, given }: Dose): boolean => Math.abs(square(given) - square(asked)) > square(asked) / 100;

/** The law's sigma is at most so many times what was asked for: of a tensor with nearly all codes at the rails, the others would be anywhere. */
const MOST = 4;
/** Between variances with so many bits fewer than a float32 has, what is given is a straight line. */
const SHIFT = 20;
/** Variances in units of the largest step squared, between which steps are neither nothing nor all. */
const LEAST_VARIANCE = 2 ** -100;
const MOST_VARIANCE = 2 ** 30;

/** What noise gives one tensor. What takes long rests between its pieces. */
export class TensorDose {
  /** By step: where the counts of its codes begin. */
  private readonly rows: readonly { readonly step: number; readonly from: number }[];
  private readonly counts: Float32Array;
  private readonly weights: number;
  /** A power of two near the largest step: variances are in its square. */
  private readonly unit: number;
  private readonly known = new Map<number, number>();

  /** @param inSteps sigma is in steps: those of all codes are one, and codes without a step do not count */
  constructor(
    census: Float32Array,
    format: EncodedFormat,
    private readonly squares: MeanSquares,
    inSteps: boolean,
  ) {
    const classes = classesOf(format);
    const rows: { step: number; from: number }[] = [];
    const all = new Float64Array(classes);
    let weights = 0;
    for (let at = 0; at < census.length; at += 1 + classes) {
      const moves = census[at] !== 0;
      if (moves) rows.push({ step: stepOfRow(census[at] as number), from: at + 1 });
      for (let c = 0; c < classes; c++) {
        const count = census[at + 1 + c] as number;
        if (moves || !inSteps) weights += count;
        if (moves) all[c] = (all[c] as number) + count;
      }
    }
    // Sigma in steps of a table is in units of the mean distance of its values.
    this.rows = inSteps ? [{ step: 1 / gapOf(format), from: 0 }] : rows;
    this.counts = inSteps ? Float32Array.from(all) : census;
    this.weights = weights;
    this.unit = floatOf(bitsOf(this.rows.at(-1)?.step ?? 1) & 0x7f800000) || 1;
  }

  /** The dose where `asked` > 0 is the standard deviation asked for; the law's is a float32. */
  *dose(asked: number): Pieces<Dose> {
    const { factor, enough } = yield* this.factor(asked);
    const law = Math.fround(asked * factor);
    return enough ? { asked, law, given: asked } : yield* this.of(asked, law);
  }

  /** What this sigma gives where it is taken as it is. */
  *of(asked: number, law = asked): Pieces<Dose> {
    return { asked, law, given: Math.sqrt(yield* this.given(square(law / this.unit))) * this.unit };
  }

  /** What the dose's law is of what was asked for. */
  private *factor(asked: number): Pieces<{ factor: number; enough: boolean }> {
    const wanted = square(asked / this.unit);
    if (wanted < LEAST_VARIANCE) return yield* this.factor(Math.sqrt(2 * LEAST_VARIANCE) * this.unit);
    if (wanted > MOST_VARIANCE) return { factor: 1, enough: false };
    let node = bitsOf(wanted) >>> SHIFT;
    const most = bitsOf(wanted * MOST * MOST) >>> SHIFT;
    while (node < most && (yield* this.atNode(node + 1)) < wanted) node++;
    while (node > 0 && (yield* this.atNode(node)) > wanted) node--;
    const [low, high] = [yield* this.atNode(node), yield* this.atNode(node + 1)];
    if (high < wanted) return { factor: high > 0 ? MOST : 1, enough: false };
    const from = nodeAt(node);
    const variance = from + ((wanted - low) / (high - low)) * (nodeAt(node + 1) - from);
    return { factor: Math.sqrt(variance / wanted), enough: true };
  }

  private *atNode(node: number): Pieces<number> {
    let given = this.known.get(node);
    if (given === undefined) {
      given = yield* this.given(nodeAt(node));
      this.known.set(node, given);
    }
    return given;
  }

  /** The mean square that a law of this variance gives; both in units of the largest step's square. */
  private *given(variance: number): Pieces<number> {
    let all = 0;
    for (const { step, from } of this.rows) {
      const own = square(step / this.unit);
      all += own * (yield* this.squares.sum(variance / own, this.counts, from));
    }
    return this.weights > 0 ? all / this.weights : 0;
  }
}

const square = (x: number): number => x * x;

const nodeAt = (node: number): number => floatOf(node << SHIFT);

const gapOf = (format: EncodedFormat): number =>
  format[Field.levels] === Levels.uniform ? 1 : meanGap(format[Field.levels] as number);
