// Every backend and instruction set that runs here, so that one suite loops over all of them. What does not run is named on the console.
import type { Kernels } from "../../src/kernels/contract.js";
import { jsKernels } from "../../src/kernels/js.js";
import { loadNative } from "../../src/kernels/native.js";
import { loadWasm } from "../../src/kernels/wasm.js";

export interface Variant {
  readonly name: string;
  readonly kernels: Kernels;
}

function attempt(name: string, load: () => Kernels): Variant[] {
  try {
    return [{ name, kernels: load() }];
  } catch (error) {
    console.warn(`SKIPPED ${name}: ${(error as Error).message}`);
    return [];
  }
}

const vectors = process.arch === "arm64" ? ["neon"] : ["avx2", "avx512"];
export const native: readonly Variant[] = ["scalar", ...vectors].flatMap((isa) =>
  attempt(`native ${isa}`, () => loadNative(isa, 2)),
);
export const wasm: readonly Variant[] = ["scalar", "simd128"].flatMap((isa) => attempt(`wasm ${isa}`, () => loadWasm(isa)));
export const js: Variant = { name: "js", kernels: jsKernels };

/** All that run here. */
export const variants: readonly Variant[] = [js, ...wasm, ...native];
/** The quickest, for tests that need many draws (the others give the same bytes: equality.test.ts). */
export const fastest: Kernels = (native.at(-1) ?? wasm.at(-1) ?? js).kernels;
