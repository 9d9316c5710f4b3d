// The backends that run wherever the library does, in order of preference. A bundle for pages takes this file in place of candidates.ts
// ("browser" in package.json; "moduleSuffixes" in demo/tsconfig.json). Must never import anything that only Node has.

import type { Kernels } from "./contract.js";
import { jsKernels } from "./js.js";
import { loadWasm, loadWasmAsync } from "./wasm.js";

/** A backend: what of it can be forced, what is tried of it in turn when nothing is (undefined: it chooses itself), and how it is loaded. */
export interface Candidate {
  readonly backend: Kernels["backend"];
  readonly isas: readonly string[];
  readonly attempts: readonly (string | undefined)[];
  readonly load: (isa: string | undefined) => Kernels;
  readonly loadAsync?: (isa: string | undefined) => Promise<Kernels>;
}

export const CANDIDATES: readonly Candidate[] = [
  {
    backend: "wasm",
    isas: ["simd128", "scalar"],
    attempts: ["simd128", "scalar"],
    load: loadWasm,
    loadAsync: loadWasmAsync,
  },
  { backend: "js", isas: ["scalar"], attempts: [undefined], load: () => jsKernels },
];
