// Sigma is relative: it is multiplied with the root mean square of the tensor's weights.

import type { ScaleRule } from "./scale.js";

export const rms: ScaleRule = {
  unit: " RMS",
  open: async () => async (sigma, facts) => ({ sigma: sigma * (await facts.rms()), inSteps: false }),
};
