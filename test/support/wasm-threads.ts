// The program of WebAssembly's threads, made of the sources as they are (Node runs no TypeScript), and kernels that have such threads.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect } from "vitest";
import type { Kernels, ThreadKernels } from "../../src/kernels/contract.js";
import { type StartThread, startThread, type Thread } from "../../src/kernels/thread-host.js";
import { loadWasm } from "../../src/kernels/wasm.js";
import type { ThreadOptions } from "../../src/kernels/wasm-threads.js";

/** Makes the program before the tests of a file, and ends all threads after them. */
export function threadsOfSources() {
  const folder = mkdtempSync(join(tmpdir(), "brownian-threads-"));
  const file = join(folder, "wasm-thread.js");
  const source = resolve(import.meta.dirname, "../../src/kernels/wasm-thread.ts");
  const threads: Thread[] = [];
  beforeAll(() => build({ entryPoints: [source], bundle: true, format: "iife", outfile: file, logLevel: "error" }));
  afterAll(() => {
    for (const thread of threads) thread.end();
    rmSync(folder, { recursive: true });
  });
  const start: StartThread = (ears) => {
    const thread = startThread(ears, pathToFileURL(file));
    threads.push(thread);
    return thread;
  };

  /** Kernels with so many threads, of which one is there; chunks of a leaf, so that little data is many. */
  async function threaded(number: number, options: ThreadOptions = {}): Promise<Kernels & { threads: ThreadKernels }> {
    const kernels = loadWasm("simd128", number, { leaves: 1, start, ...options }) as Kernels & { threads: ThreadKernels };
    kernels.threads.expect(number * 1e9);
    expect(await kernels.threadsHere?.()).toEqual({ number, memory: options.shared === false ? "copied" : "shared" });
    return kernels;
  }

  return { folder, start, threaded };
}
