// The backend that runs anywhere: the laws (src/laws/) put together, in plain JavaScript. They are the specification: native and WASM give its
// bits.

import { difference } from "../laws/difference.js";
import { bits, normal, uniform } from "../laws/noise.js";
import { perturb } from "../laws/perturb.js";
import { sumSquares } from "../laws/sums.js";
import { Workspace } from "../laws/workspace.js";
import type { Kernels } from "./contract.js";

const work = new Workspace({ bits, normal });

export const jsKernels: Kernels = {
  backend: "js",
  isa: "scalar",
  bits,
  uniform,
  normal,
  perturb: (data, move) => perturb(data, move, work),
  evolve: (live, pristine, move, law, strength) => law.step(live, pristine, move, law.parameters(strength, move.format), work),
  sumSquares,
  difference,
};
