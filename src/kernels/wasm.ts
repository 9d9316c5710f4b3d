// The WebAssembly backend: two modules from one core (assembly/), with SIMD and without, their bytes inlined; on one thread, and, for large work,
// on several. Touches no file and nothing that only Node has.

import type { Kernels } from "./contract.js";
import { WASM as SCALAR } from "./generated/scalar.wasm.js";
import { WASM as SIMD } from "./generated/simd.wasm.js";
import { kernelsOf } from "./wasm-kernels.js";
import { type ThreadOptions, WasmThreads, wasmThreadCount } from "./wasm-threads.js";

const MODULES: Readonly<Record<string, string>> = { simd128: SIMD, scalar: SCALAR };

const ONE = "this process is to have one thread (BROWNIAN_THREADS), or has one processor";

/**
 * The kernels of the module for this ISA ("simd128", the default, or "scalar"), on so many threads. Throws with the reason when it cannot run.
 * @param options of threads, for tests of what else happens to them
 */
export function loadWasm(isa = "simd128", threads = wasmThreadCount(), options?: ThreadOptions): Kernels {
  const code = validCode(isa); // first: where there is no WebAssembly, it says so
  return onThreads(new WebAssembly.Instance(new WebAssembly.Module(code)), code, isa, threads, options);
}

/** Like {@link loadWasm}, compiled without holding up the event loop. */
export async function loadWasmAsync(isa = "simd128", threads = wasmThreadCount()): Promise<Kernels> {
  const code = validCode(isa);
  const { instance } = await WebAssembly.instantiate(code);
  return onThreads(instance, code, isa, threads);
}

/** The kernels of an instance, and, where there is to be more than one thread, those that hand large work to others. */
function onThreads(
  instance: WebAssembly.Instance,
  code: Uint8Array<ArrayBuffer>,
  isa: string,
  number: number,
  options?: ThreadOptions,
): Kernels {
  const own = kernelsOf(instance, isa);
  if (number < 2) return Object.assign(own, { threadsHere: async () => ({ number: 0, reason: ONE }) });
  const threads = new WasmThreads(own, { code, isa }, number, options);
  const perturbAsync = threads.perturb.bind(threads);
  return Object.assign(own, { threads, perturbAsync, threadsHere: () => threads.tried() });
}

function validCode(isa: string): Uint8Array<ArrayBuffer> {
  const code = MODULES[isa];
  if (code === undefined)
    throw new Error(`there is no WebAssembly module for ${isa}, only for ${Object.keys(MODULES).join(", ")}`);
  if (typeof WebAssembly !== "object") throw new Error("this host has no WebAssembly");
  const bytes = bytesOf(code);
  // The real module is what gets validated: it is refused where SIMD is missing.
  if (!WebAssembly.validate(bytes)) throw new Error(`this host's WebAssembly does not run ${isa} code`);
  return bytes;
}

/** The bytes that these digits are: 0 to 9, a to f. */
function bytesOf(digits: string): Uint8Array<ArrayBuffer> {
  const digit = (i: number) => (digits.charCodeAt(i) & 15) + 9 * (digits.charCodeAt(i) >> 6);
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = 16 * digit(2 * i) + digit(2 * i + 1);
  return bytes;
}
