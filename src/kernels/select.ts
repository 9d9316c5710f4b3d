// Chooses the backend once, when first asked: environment override, then native, WASM SIMD, WASM scalar, JavaScript.
// Every step that failed is kept with its reason; a forced backend or ISA that cannot run throws.

import { BrownianError } from "../errors.js";
import type { Kernels } from "./contract.js";
import { jsKernels } from "./js/index.js";
import { loadNative } from "./native.js";
import { loadWasm } from "./wasm.js";

/** A backend that was tried and not taken. */
export interface Rejected {
  readonly backend: "native" | "wasm" | "js";
  readonly isa?: string;
  readonly reason: string;
}

export interface Selection {
  readonly kernels: Kernels;
  readonly rejected: readonly Rejected[];
  /** The environment variables that decided, if any, as "NAME=value". */
  readonly forced: readonly string[];
}

/** What can be forced, and how it is loaded, in order of preference. */
const CANDIDATES: readonly {
  backend: Rejected["backend"];
  isas: readonly string[];
  load: (isa: string | undefined) => Kernels;
}[] = [
  { backend: "native", isas: ["avx512", "avx2", "neon", "scalar"], load: loadNative },
  { backend: "wasm", isas: ["simd128", "scalar"], load: loadWasm },
  { backend: "js", isas: ["scalar"], load: () => jsKernels },
];

/** Selects by the environment. Pure in its arguments, so that tests can ask for any. */
export function select(env: Readonly<Record<string, string | undefined>>): Selection {
  const backend = env.BROWNIAN_BACKEND?.toLowerCase() || undefined;
  const isa = env.BROWNIAN_ISA?.toLowerCase() || undefined;
  const forced = [backend && `BROWNIAN_BACKEND=${backend}`, isa && `BROWNIAN_ISA=${isa}`].filter(
    (x) => x !== undefined && x !== "",
  );
  const wanted = CANDIDATES.filter(
    (c) => (backend === undefined || c.backend === backend) && (isa === undefined || c.isas.includes(isa)),
  );
  if (wanted.length === 0) {
    const known = CANDIDATES.map((c) => `${c.backend} (${c.isas.join(", ")})`).join("; ");
    throw new BrownianError("backend-unavailable", `${forced.join(" ")}: there is no such backend or ISA. There are: ${known}.`);
  }
  const rejected: Rejected[] = [];
  for (const candidate of wanted) {
    // WASM is tried with SIMD and without; the native addon chooses the best ISA itself.
    const attempts = isa !== undefined ? [isa] : candidate.backend === "wasm" ? candidate.isas : [undefined];
    for (const attempt of attempts) {
      try {
        return { kernels: candidate.load(attempt), rejected, forced: forced as string[] };
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        rejected.push({ backend: candidate.backend, ...(attempt !== undefined && { isa: attempt }), reason });
      }
    }
  }
  const reasons = rejected.map((r) => `${r.backend}${r.isa ? ` ${r.isa}` : ""}: ${r.reason}`).join("\n  ");
  throw new BrownianError("backend-unavailable", `${forced.join(" ")} was asked for, but cannot run here:\n  ${reasons}`);
}

let selected: Selection | undefined;

/** The process's selection, made on first use and kept. */
export function selection(): Selection {
  selected ??= select(process.env);
  return selected;
}
