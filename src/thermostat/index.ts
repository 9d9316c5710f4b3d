// Weights in motion: model files, dynamics, and what sigma means.

export type { TensorDrawn } from "./draw.js";
export { type Drawn, DYNAMICS, type DynamicsName } from "./dynamics/index.js";
export { type FilePerturbed, type PerturbFileOptions, perturbFile } from "./perturb-file.js";
export { SCALES, type Scale } from "./scales/index.js";
export { exponential, linear, type Schedule } from "./schedule.js";
export type { NoiseSettings, Watch } from "./settings.js";
export { Thermostat, type ThermostatOptions, type ThermostatSettings } from "./thermostat.js";
