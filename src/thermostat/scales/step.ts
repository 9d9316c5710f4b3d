// Sigma is in units of the step of each block (of float tensors: of the distance from each weight to the next larger one).

import type { ScaleRule } from "./scale.js";

export const step: ScaleRule = {
  unit: " steps",
  open: async () => async (sigma) => ({ sigma, inSteps: true }),
};
