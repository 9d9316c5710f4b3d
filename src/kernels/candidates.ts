// The backends that are tried on Node, in order of preference: native, then those that run anywhere. Bundles for pages have candidates.web.ts
// in its place, with the same names.

import { CANDIDATES as ANYWHERE, type Candidate } from "./candidates.web.js";
import { loadNative } from "./native.js";

export type { Candidate } from "./candidates.web.js";

const NATIVE: Candidate = {
  backend: "native",
  isas: ["avx512", "avx2", "neon", "scalar"],
  attempts: [undefined],
  load: (isa) => loadNative(isa),
};

export const CANDIDATES: readonly Candidate[] = [NATIVE, ...ANYWHERE];
