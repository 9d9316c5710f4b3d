// The program of a thread (thread-host.ts starts it): kernels of its own, and orders answered one by one. It is bundled by itself, and lies beside
// whatever bundle has thread-host.ts in it. Runs in worker_threads and in Web Workers.

import { relaxation } from "../laws/relaxation.js";
import type { Kernels } from "./contract.js";
import { type Answer, done, type Greeting, type Order } from "./thread-work.js";
import { kernelsOf } from "./wasm-kernels.js";

interface Port {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  postMessage(message: Answer, transfer: ArrayBuffer[]): void;
}

function parent(): Port {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  return (threads?.parentPort ?? globalThis) as unknown as Port;
}

/** Those of KNOWN_LAWS. */
const LAWS = [relaxation];

const port = parent();
let kernels: Kernels | undefined;

function answer({ id, work, arrays }: Order): void {
  const { buffer } = arrays[0];
  const back = buffer instanceof ArrayBuffer ? { buffer } : {};
  const transfer = buffer instanceof ArrayBuffer ? [buffer] : [];
  try {
    const law = work.verb === "evolve" ? LAWS.find(({ name }) => name === work.law) : undefined;
    port.postMessage({ id, result: done(kernels as Kernels, work, arrays, law), ...back }, transfer);
  } catch (error) {
    port.postMessage({ id, failed: String(error), ...back }, transfer);
  }
}

port.onmessage = ({ data }) => {
  if (kernels !== undefined) {
    answer(data as Order);
    return;
  }
  const { code, isa } = data as Greeting;
  kernels = kernelsOf(new WebAssembly.Instance(new WebAssembly.Module(code)), isa);
  port.postMessage({ ready: true }, []);
};
