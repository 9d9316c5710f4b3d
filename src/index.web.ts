// brownian/web: what works without files and without Node, on WebAssembly or, where a page's policy forbids that, on JavaScript: noise,
// moving bytes in memory, formats, sampling. Must never import anything that only Node has (test/house/imports.test.ts): bundled for pages,
// kernels/candidates.web.ts takes the place of kernels/candidates.ts.

import { type Backend, backend } from "./kernels/backend.js";
import { initSelection } from "./kernels/select.js";

export { BrownianError, type ErrorCode } from "./errors.js";
export { type Backend, backend } from "./kernels/backend.js";
export type { Threads } from "./kernels/contract.js";
export type { Rejected } from "./kernels/select.js";
export { decode } from "./lattice/decode.js";
export { FORMATS, type Format, type Lattice, type Plane } from "./lattice/formats.js";
export { type Moved, type PerturbOptions, perturb } from "./lattice/perturb.js";
export { type PerturbAsyncOptions, perturbAsync } from "./lattice/perturb-async.js";
export { type At, type Key, Noise, type Seed, Stream } from "./noise/index.js";
export * from "./sampling/index.js";

/**
 * Compiles the kernels without holding up the page, for hosts that want that or allow no other way. Optional: without it, first use
 * compiles them at once (a few milliseconds). Where WebAssembly is forbidden, JavaScript takes over, with the same results.
 *
 * @returns what runs now, and why others do not
 * @example
 * const { name, isa, rejected } = await init(); // wasm simd128 []
 */
export async function init(): Promise<Backend> {
  await initSelection();
  return backend;
}
