// Weights in motion: model files, dynamics, and what sigma means.

export type { ModelFile, Skipped, Tensor, Watch } from "../files/index.js";
export type { Columns } from "../laws/move.js";
export type { Dose } from "./dose.js";
export type { TensorDrawn } from "./draw.js";
export { type Cost, type Drawn, DYNAMICS, type Dynamics, type DynamicsName, type Theory } from "./dynamics/index.js";
export type { Carrier, CarrierName, CarrierOptions, CheckedNoise, NoiseSettings, ThermostatSettings } from "./noise.js";
export { type FilePerturbed, type PerturbFileOptions, perturbFile } from "./perturb-file.js";
export type { FragilityOptions } from "./scales/fragility.js";
export type { ImatrixOptions } from "./scales/imatrix.js";
export { SCALES, type Scale, type ScaleFile, type ScaleOptions, type ScaleRule, type TensorSigma } from "./scales/index.js";
export { exponential, linear, type Schedule } from "./schedule.js";
export { Thermostat, type ThermostatMemory, type ThermostatOptions } from "./thermostat.js";
