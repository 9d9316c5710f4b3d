// The dial is relative: sigma times the root mean square of the tensor's weights.

import type { ScaleRule } from "./scale.js";

export const rms: ScaleRule = {
  unit: " RMS",
  open: async () => async (sigma, facts) => ({ sigma: sigma * (await facts.rms()), inSteps: false }),
};
