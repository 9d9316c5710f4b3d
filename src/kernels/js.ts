// The backend that runs anywhere: the laws (src/laws/) put together, in plain JavaScript. They are the specification: native
// and WASM give its bits.

import { takeCensus } from "../laws/census.js";
import { difference } from "../laws/difference.js";
import { readLogits } from "../laws/logits.js";
import { bits, normal, uniform } from "../laws/noise.js";
import { perturb } from "../laws/perturb.js";
import { sumSquares } from "../laws/sums.js";
import { Workspace } from "../laws/workspace.js";
import type { Kernels } from "./contract.js";

let made: Workspace | undefined;

/** Made when it is first needed: most processes import this backend and use another. */
function work(): Workspace {
  made ??= new Workspace({ bits, normal });
  return made;
}

export const jsKernels: Kernels = {
  backend: "js",
  isa: "scalar",
  bits,
  uniform,
  normal,
  perturb: (data, move) => perturb(data, move, work()),
  evolve: (live, pristine, move, law, strength) => law.step(live, pristine, move, law.parameters(strength, move.format), work()),
  sumSquares: (data, format, steps, rowLength, index, total) =>
    sumSquares(data, { format, steps, rowLength }, index, total, work().live),
  census: (data, format, columns, index) => takeCensus(data, format, columns, index, work().live),
  difference: (a, b, format) => difference(a, b, format, work()),
  readLogits: (logits, question, out) => readLogits(logits, question, out),
};
