// Files that are read and written by WebAssembly on several threads: what one thread makes of them, and no more memory of it.
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openLiveTensors, readModel } from "../../../src/files/index.js";
import type { Step } from "../../../src/kernels/step.js";
import { loadWasm } from "../../../src/kernels/wasm.js";
import { makeMove, supportedFormat } from "../../../src/lattice/perturb.js";
import { relaxation } from "../../../src/laws/relaxation.js";
import { streamKey } from "../../../src/noise/index.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";
import { threadsOfSources } from "../../support/wasm-threads.js";

const folder = scratchFolder();
const { threaded } = threadsOfSources();
const ROWS = 20_500; // several chunks, and a tail

describe("a file on two threads", () => {
  it.each(["Q8_0", "F16"])("%s has the bytes, counts, sums and census of one", async (type) => {
    const pristine = join(folder, `${type}.gguf`);
    const bytes = type === "F16" ? 64 : 34;
    const data = Uint8Array.from({ length: ROWS * bytes }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 9) & 63);
    writeGguf(pristine, [{ name: "a", type, shape: [32, ROWS], data }]);
    const model = await readModel(pristine);
    const tensor = model.tensors[0]!;
    const move = makeMove(supportedFormat(type), {
      sigma: Math.fround(0.5),
      inSteps: true,
      key: streamKey(1n, "a"),
      tick: 3,
      rounding: "matched",
      index: 0,
      steps: null,
      rowLength: 1,
    });
    const steps: Step[] = [
      { verb: "draw" },
      { verb: "diffuse", factor: 0.3, stride: 2 },
      { verb: "evolve", law: relaxation, strength: 0.9, stride: 3 },
      { verb: "collide", threshold: 2 ** 30 },
    ];
    const seen = [];
    for (const kernels of [loadWasm("simd128", 1), await threaded(2)]) {
      const path = join(folder, `${type} ${seen.length}.gguf`);
      copyFileSync(pristine, path);
      const live = await openLiveTensors(path, pristine, kernels);
      let watched = 0;
      const watch = { onBytes: (count: number) => (watched += count) };
      const counts = [await live.perturb(tensor, move, watch)];
      for (const [tick, step] of steps.entries()) counts.push(await live.step([{ tensor, move }], 7 + tick, step));
      counts.push(await live.difference(tensor));
      const census = type === "F16" ? [] : [...(await live.census(tensor, undefined))];
      const sum = await live.sumSquares(tensor);
      await expect(live.perturb(tensor, move, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
      await live.close();
      expect(watched).toBe(tensor.bytes);
      expect(Math.min(...counts)).toBeGreaterThan(0);
      seen.push({ counts, census, sum, file: createHash("sha256").update(readFileSync(path)).digest("hex") });
    }
    expect(seen[1]).toEqual(seen[0]);
  });
});
