// Every type that can be moved and that ggml multiplies with is seen moving between two tokens where llama.cpp may not rearrange weights, and
// the restored model computes what it did before, in either mode.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { TYPES, writeTransformer } from "../../scripts/check/small-models.mjs";
import type { Engine, Expectation } from "../../src/engine/index.js";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { probe } from "../../src/engine/probe.js";
import { FORMATS } from "../../src/lattice/formats.js";
import { loadModel } from "../../src/llama/index.js";
import { noiseOf } from "../../src/thermostat/noise.js";
import { Thermostat } from "../../src/thermostat/thermostat.js";
import { sameBits } from "../support/bits.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED liveness: ${why}`);

it("is tried with all formats that ggml multiplies with: not I8, nor those that it does not have", () => {
  const names = FORMATS.filter(({ name, ggml }) => name !== "I8" && ggml !== null).map(({ name }) => name);
  expect([...TYPES].sort()).toEqual(names.sort());
  expect(TYPES.length).toBe(18);
});

/** The logits after each of these tokens. */
async function logitsOf(engine: Engine, tokens: readonly number[], between?: () => Promise<unknown>): Promise<Float32Array[]> {
  const all: Float32Array[] = [];
  // One token more than there are: after the last, too, something is expected.
  const visit = (_: number, { logits }: Expectation) => all.push(logits.slice());
  await engine.score([...tokens, 0], {}, visit, between ?? (async () => undefined));
  return all;
}

describe.skipIf(why !== undefined).each([...TYPES])("a model of %s", (type) => {
  const path = join(scratch, `${type}.gguf`);

  it("is seen moving between two tokens, every class of its tensors, and is itself again when restored", async () => {
    await writeTransformer(path, { type });
    const bath = await Thermostat.open(path, { sigma: 0, skipUnsupported: true, scratch });
    try {
      for (const repack of [true, false]) {
        const engine = await llamaC.load(bath.livePath, path, { threads: 1, repack });
        try {
          bath.configure(noiseOf({ sigma: 0, skipUnsupported: true }));
          const tokens = engine.tokenize("Once upon");
          const clean = await logitsOf(engine, tokens);
          expect(clean.every((logits) => logits.every(Number.isFinite))).toBe(true);
          const { live, dead } = await probe(engine, bath, bath.tensors);
          expect(live.length + dead.length).toBe(12);
          if (!repack) expect(dead.map(({ name }) => name)).toEqual([]);
          bath.configure(
            noiseOf({ sigma: 0.3, seed: 5n, only: bath.tensors.map(({ name }) => name).filter((name) => name.includes("ffn")) }),
          );
          const moved = await logitsOf(engine, tokens, () => bath.draw());
          expect(sameBits(moved[0], clean[0])).toBe(true);
          if (!repack) expect(moved.slice(1).some((logits, i) => logits.some((l, j) => l !== clean[i + 1]?.[j]))).toBe(true);
          await bath.restore();
          const restored = await logitsOf(engine, tokens);
          expect(restored).toHaveLength(clean.length);
          for (const [i, logits] of restored.entries()) expect(sameBits(logits, clean[i]), `after token ${i}`).toBe(true);
        } finally {
          await engine.dispose();
        }
      }
    } finally {
      await bath.close();
    }
  });

  // Texts follow from logits, which all types have shown: one type of each way that ggml multiplies is enough.
  it.runIf(["F16", "Q4_0", "Q8_0", "Q4_K", "IQ4_NL"].includes(type))(
    "writes its clean text again after a moved one",
    async () => {
      for (const repack of ["auto", "off"] as const) {
        const model = await loadModel(path, { threads: 1, scratch, engine: "llama-c", repack });
        try {
          const clean = { maxTokens: 8, endless: true };
          const before = await model.complete("Once upon", clean);
          const moved = await model.complete("Once upon", { ...clean, sigma: 0.2, dynamics: "white", seed: 1n });
          expect(moved.changed).toBeGreaterThan(0);
          expect((await model.complete("Once upon", clean)).ids).toEqual(before.ids);
        } finally {
          await model.dispose();
        }
      }
    },
  );
});
