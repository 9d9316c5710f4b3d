// What `backend` says: which kernels run, and why others do not.

import type { Threads } from "./contract.js";
import { type Rejected, selection } from "./select.js";

/** Which kernels compute in this process, and why others do not. */
export interface Backend {
  /** "native", "wasm" or "js". */
  readonly name: "native" | "wasm" | "js";
  /** The instruction set of the kernels: "avx512", "avx2", "neon", "simd128" or "scalar". */
  readonly isa: string;
  /** The backends that were tried before and could not run, with the reason. */
  readonly rejected: readonly Rejected[];
  /** Environment variables that forced the choice. */
  readonly forced: readonly string[];
  /**
   * Threads for large work, or why there are none (WebAssembly has some where workers can be had, with the file of their program). Tries it, where
   * that is the only way to know.
   */
  threads(): Promise<Threads>;
}

/**
 * The backend of this process, chosen on first use: native, else WebAssembly, else JavaScript. BROWNIAN_BACKEND and BROWNIAN_ISA force;
 * a forced one that cannot run throws `backend-unavailable`.
 *
 * @example
 * import { backend } from "brownian";
 * console.log(backend.name, backend.isa); // native avx512
 * const { number, reason } = await backend.threads(); // how many for large work, or why none
 */
export const backend: Backend = {
  get name() {
    return selection().kernels.backend;
  },
  get isa() {
    return selection().kernels.isa;
  },
  get rejected() {
    return selection().rejected;
  },
  get forced() {
    return selection().forced;
  },
  threads: async () => (await selection().kernels.threadsHere?.()) ?? { number: 0, reason: "JavaScript has none" },
};
