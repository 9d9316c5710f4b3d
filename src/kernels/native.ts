// placeholder until the addon lands in this working tree
import type { Kernels } from "./contract.js";
export function loadNative(_isa: string | undefined): Kernels {
  throw new Error("not built");
}
