// placeholder until the module lands in this working tree
import type { Kernels } from "./contract.js";
export function loadWasm(_isa: string | undefined): Kernels {
  throw new Error("not built");
}
