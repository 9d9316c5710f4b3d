// Weights in motion: model files, dynamics, and what sigma means.

export type { Watch } from "../files/index.js";
export type { TensorDrawn } from "./draw.js";
export { type Drawn, DYNAMICS, type DynamicsName } from "./dynamics/index.js";
export type { CheckedNoise, NoiseSettings, ThermostatSettings } from "./noise.js";
export { type FilePerturbed, type PerturbFileOptions, perturbFile } from "./perturb-file.js";
export { SCALES, type Scale, type ScaleOptions } from "./scales/index.js";
export { exponential, linear, type Schedule } from "./schedule.js";
export { Thermostat, type ThermostatOptions } from "./thermostat.js";
