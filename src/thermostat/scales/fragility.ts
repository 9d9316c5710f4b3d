// As `rms`, with more noise on tensors that bear it and less on those that do not, by equipartition: every weight costs the model's predictions about as
// much. KL grows as kappa_t sigma^2 for each weight of tensor t (`brownian audit` measures it), so
//   sigma_t ~ RMS_t / sqrt(kappa_t + lambda),   lambda = DAMPING times the mean kappa over all weights
// Invariant: the mean over all weights of (sigma_t / RMS_t)^2 is sigma^2, as with `rms`.

import { type Fragilities, type ModelFile, readFragilities } from "../../files/index.js";
import type { ScaleRule } from "./scale.js";

/** Bounds the noise of tensors that hardly matter: at most about 1 / sqrt(0.1) times the usual. */
const DAMPING = 0.1;

/** The file that the scale "fragility" rests on. */
export interface FragilityOptions {
  /** With scale "fragility": what `brownian audit` wrote of this model (results.json). Tensors that it lacks go by RMS. */
  readonly audit?: string | undefined;
}

export const fragility: ScaleRule = {
  unit: " RMS by fragility",
  file: {
    option: "audit" satisfies keyof FragilityOptions,
    summary: "what brownian audit wrote of the model (results.json)",
    missing:
      'The scale fragility needs an audit of the model, made by brownian audit: name its file (audit: "results.json", --audit FILE).',
    unused: (file) => `The audit ${file} is for the scale fragility: choose that, or leave it out.`,
  },
  async open(model, file) {
    const factors = fragilityFactors(model, await readFragilities(file, model));
    return async (sigma, { tensor, rms }) => ({ sigma: sigma * (factors.get(tensor.name) ?? 1) * (await rms()), inSteps: false });
  },
};

/** What sigma is multiplied with in each tensor of the audit. */
export function fragilityFactors({ tensors }: Pick<ModelFile, "tensors">, fragilities: Fragilities): Map<string, number> {
  const known = tensors.filter(({ name }) => fragilities.has(name));
  const mean = (of: (name: string) => number) =>
    known.reduce((sum, { name, weights }) => sum + weights * of(name), 0) / known.reduce((sum, { weights }) => sum + weights, 0);
  const damped = DAMPING * mean((name) => fragilities.get(name) as number);
  const compliance = (name: string) => 1 / ((fragilities.get(name) as number) + damped);
  const usual = mean(compliance);
  return new Map(known.map(({ name }) => [name, Math.sqrt(compliance(name) / usual)]));
}
