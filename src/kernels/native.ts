// The native backend: gives the addon's calls the shape of the contract.

import { availableParallelism } from "node:os";
import { environment } from "../environment.js";
import { loadAddon, moveRecord, placeWords, withLaw } from "./addon.js";
import type { Kernels } from "./contract.js";
import { nativeFiles } from "./native-file.js";
import { Pieces } from "./native-pieces.js";

/** Which instruction sets the addon has, best first, and why some do not run here. Throws when there is no addon. */
export function nativeTargets(): { name: string; runs: boolean; reason: string }[] {
  return loadAddon().targets();
}

/** Threads for work on files: what the environment says, or the cores that this process may use. */
export const threadCount = (): number => environment.threads ?? availableParallelism();

/** The native kernels for this ISA, or for the best one. Throws with the reason when they cannot run. */
export function loadNative(isa: string | undefined, threads = threadCount()): Kernels {
  const native = loadAddon();
  const targets = native.targets();
  const target = isa === undefined ? targets.findIndex((t) => t.runs) : targets.findIndex((t) => t.name === isa);
  const found = targets[target];
  if (found === undefined) throw new Error(`the addon has no ${isa} (it has ${targets.map((t) => t.name).join(", ")})`);
  if (!found.runs) throw new Error(`${found.name}: ${found.reason}`);

  // Pages of Electron have Node's modules, and no SharedArrayBuffer unless they are isolated: there work goes in slices, as without threads.
  const pieces = typeof SharedArrayBuffer === "function" ? new Pieces(native, { target, threads }) : undefined;
  return {
    backend: "native",
    isa: found.name,
    bits: (out, key, at) => native.bits(target, out, placeWords(key, at)),
    uniform: (out, key, at) => native.uniform(target, out, placeWords(key, at)),
    normal: (out, key, at) => native.normal(target, out, placeWords(key, at)),
    perturb: (data, move) => withLaw(native).perturb(target, data, moveRecord(move)),
    ...(pieces && { perturbAsync: pieces.perturb.bind(pieces) }),
    evolve: (live, pristine, move, law, strength) =>
      withLaw(native).evolve(target, law.name, live, pristine, law.parameters(strength, move.format), moveRecord(move)),
    sumSquares: (data, format, steps, rowLength, index, total) =>
      native.sumSquares(target, data, format, steps === null ? null : { steps, rowLength }, index, total),
    census: (data, format, columns, index) => native.census(target, data, index, format, columns ?? null),
    difference: (a, b, format) => native.difference(target, a, b, format),
    readLogits: (logits, question, out) => native.readLogits(target, logits, question, out),
    files: nativeFiles(native, { target, threads }),
    threadsHere: async () => ({ number: threads }),
  };
}
