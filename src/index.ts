// The public face of the library on Node. (Language models: "brownian/llama"; browsers and other hosts: "brownian/web".)

export { BrownianError, type ErrorCode } from "./errors.js";
export { type Backend, backend } from "./kernels/backend.js";
export type { Threads } from "./kernels/contract.js";
export type { Rejected } from "./kernels/select.js";
export { decode } from "./lattice/decode.js";
export { FORMATS, type Format, type Lattice, type Plane } from "./lattice/formats.js";
export { type Moved, type PerturbOptions, perturb } from "./lattice/perturb.js";
export { type PerturbAsyncOptions, perturbAsync } from "./lattice/perturb-async.js";
export { quantizeI8, quantizeQ8_0 } from "./lattice/quantize.js";
export { type At, type Key, Noise, type Seed, Stream } from "./noise/index.js";
export * from "./sampling/index.js";
export * from "./thermostat/index.js";
