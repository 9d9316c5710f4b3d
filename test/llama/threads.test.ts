// Texts do not depend on how many threads the engine has: a row of weights is one thread's, and its sum has one order.
import { availableParallelism } from "node:os";
import { describe, expect, it } from "vitest";
import { ENGINES, type EngineName } from "../../src/engine/engines.js";
import { mostThreads } from "../../src/engine/index.js";
import { loadModel } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const counts = [1, 2, 3].filter((count) => count <= availableParallelism());
const engines = Object.entries(ENGINES)
  .filter(([, kind]) => kind.whyNot() === undefined)
  .slice(0, 1);
if (counts.length < 2 || engines.length === 0) console.warn("SKIPPED texts on several threads: one processor, or no engine");

describe.runIf(counts.length > 1).each(engines)("%s", (engine) => {
  // Few tokens: on busy cores, threads that wait for each other take a hundred times longer.
  it.each(["Q8_0", "Q4_0"])("computes the same numbers of %s on any number of threads", async (type) => {
    const seen: unknown[] = [];
    for (const threads of counts) {
      await using model = await loadModel(`models/fairytales-3M-${type}.gguf`, {
        threads,
        scratch,
        engine: engine as EngineName,
      });
      const rows: number[][] = [];
      await model.score("Once upon a time", {}, ({ logits }) => rows.push([...logits.subarray(0, 500)]));
      const { text } = await model.complete("Once", { sigma: 0.05, seed: 2n, maxTokens: 3 });
      seen.push({ rows, text });
    }
    for (const one of seen.slice(1)) expect(one).toEqual(seen[0]);
  });
});

describe("mostThreads", () => {
  const quota = (text: string) => (path: string) => {
    if (!path.endsWith("cpu.max")) throw new Error(`no ${path}`);
    return text;
  };
  it("is what this process may use: processors, or its container's share of them, and at least one", () => {
    expect(mostThreads(8, quota("max 100000\n"))).toBe(8);
    expect(mostThreads(8, quota("350000 100000\n"))).toBe(3);
    expect(mostThreads(8, quota("50000 100000\n"))).toBe(1);
  });
});
