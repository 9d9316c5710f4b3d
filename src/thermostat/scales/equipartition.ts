// Equipartition: every direction in weight space gets the same share of energy, as particles in a bath do. To second order, moving the weights
// of input column j by dw costs (1/2) kappa_j dw^2, with a stiffness kappa_j that grows with how strong the column's inputs are:
//   kappa_j ~ E[x_j^2] + lambda,   sigma_j ~ 1 / sqrt(kappa_j)
// Invariant: the mean of the squared factors over a tensor is 1, so its total variance is that of `rms` (docs/theory/moves.md).

import type { Importance } from "../../files/index.js";
import type { Columns } from "../../laws/move.js";

/**
 * lambda, in units of the mean E[x_j^2] of a matrix: bounds the noise of columns that hardly any input comes through
 * (GPTQ's damping, Frantar et al. 2022).
 */
export const DAMPING = 0.01;

const known = new WeakMap<Importance, Columns>();

/**
 * Factors of sigma by column. Where no token came to an expert, its columns are alike, as stiff as the other experts'
 * are on average.
 */
export function columnFactors(importance: Importance): Columns {
  const before = known.get(importance);
  if (before !== undefined) return before;
  const { squares, width, matrix } = importance;
  const stiffness = squares.slice();
  for (let first = 0; first < squares.length; first += width) {
    const mean = average(squares.subarray(first, first + width));
    for (let j = first; j < first + width; j++) stiffness[j] = (stiffness[j] as number) + DAMPING * mean;
  }
  const usual = average(stiffness.filter((kappa) => !Number.isNaN(kappa)));
  const compliance = stiffness.map((kappa) => 1 / (Number.isNaN(kappa) ? usual : kappa));
  const mean = average(compliance);
  const columns: Columns = { factors: Float32Array.from(compliance, (c) => Math.sqrt(c / mean)), width, matrix };
  known.set(importance, columns);
  return columns;
}

function average(values: Float64Array): number {
  return values.reduce((sum, x) => sum + x, 0) / values.length;
}
