// Sigma is in weight units.

import type { ScaleRule } from "./scale.js";

export const absolute: ScaleRule = {
  unit: "",
  open: async () => async (sigma) => ({ sigma, inSteps: false }),
};
