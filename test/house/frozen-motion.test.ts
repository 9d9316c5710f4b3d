// Frozen motion: what fifty ticks of every dynamics make of every format, on every backend, by the scales that kernels tell apart. The hashes in
// frozen-motion.json change only with a major version (write them anew with FREEZE=1 npx vitest run test/house/frozen-motion.test.ts, and say why
// in the changelog).

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Kernels } from "../../src/kernels/contract.js";
import { collide, collisionThreshold } from "../../src/lattice/collide.js";
import { formatNamed } from "../../src/lattice/formats.js";
import { makeMove } from "../../src/lattice/perturb.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { streamKey } from "../../src/noise/index.js";
import { DYNAMICS, Thermostat, type ThermostatOptions } from "../../src/thermostat/index.js";
import { variants } from "../support/backends.js";
import { type SyntheticTensor, scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const FROZEN = new URL("./frozen-motion.json", import.meta.url);
const freezing = process.env.FREEZE === "1";
const frozen = freezing ? {} : (JSON.parse(readFileSync(FROZEN, "utf8")) as Record<string, string>);
const fresh: Record<string, string> = {};

function check(name: string, value: string): void {
  if (freezing && fresh[name] === undefined) fresh[name] = value;
  else expect(value, name).toBe(freezing ? fresh[name] : frozen[name]);
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

/** One tensor of 8 rows of 512 weights of every type, quantized by ggml. */
const MODEL = "test/fixtures/ggml-types.gguf";
const WIDTH = 512;
const TYPES =
  "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0 IQ3_S".split(
    " ",
  );
const folder = scratchFolder();

/** Activations of the columns, from 1/16 to 16, as llama-imatrix writes them. */
const imatrix = join(folder, "imatrix.gguf");
const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
writeGguf(
  imatrix,
  TYPES.flatMap((type): SyntheticTensor[] => [
    {
      name: `blk.0.${type}.weight.in_sum2`,
      type: "F32",
      shape: [WIDTH, 1],
      data: floats(Array.from({ length: WIDTH }, (_, j) => 64 * 2 ** (((j * 29) % 64) / 8 - 4))),
    },
    { name: `blk.0.${type}.weight.counts`, type: "F32", shape: [1, 1], data: floats([64]) },
  ]),
  {
    metadata: {
      "general.type": "imatrix",
      "imatrix.datasets": ["made up"],
      "imatrix.chunk_count": 1,
      "imatrix.chunk_size": 512,
    },
  },
);

const SETTINGS: Record<string, { ticks: number; options: Omit<ThermostatOptions, "dynamics"> }> = {
  "rms 0.05": { ticks: 50, options: { sigma: 0.05 } },
  "step 0.1": { ticks: 50, options: { sigma: 0.1, scale: "step" } },
  "step 3": { ticks: 8, options: { sigma: 3, scale: "step" } },
  "imatrix 0.05": { ticks: 8, options: { sigma: 0.05, scale: "imatrix", imatrix } },
};

/** The dynamics on rows of bare codes, which no model file has. */
function moveRows(kernels: Kernels, dynamics: string, ticks: number): Uint8Array {
  const pristine = Uint8Array.from({ length: 8 * WIDTH }, (_, i) => (i * 37 + (i >> 8) * 11) & 255).map((q) =>
    q === 128 ? 0 : q,
  );
  const live = pristine.slice();
  const steps = Float32Array.from({ length: 8 }, (_, row) => 0.02 * 2 ** (row - 4));
  const moveAt = (tick: number, sigma = 0.004) =>
    makeMove(formatNamed("I8")!, {
      sigma: Math.fround(sigma),
      inSteps: false,
      steps,
      rowLength: WIDTH,
      rounding: "matched",
      key: streamKey(42n, "rows"),
      tick,
      index: 0,
    });
  const draw = (tick: number) => {
    live.set(pristine);
    kernels.perturb(live, moveAt(tick));
  };
  if (dynamics !== "wiener") draw(0);
  for (let tick = 1; tick <= ticks; tick++) {
    if (dynamics === "white") draw(tick);
    else if (dynamics === "andersen") collide(live, pristine, moveAt(tick), collisionThreshold(-Math.expm1(-1 / 32)), kernels);
    else if (dynamics === "langevin") kernels.evolve(live, pristine, moveAt(tick), relaxation, Math.fround(Math.exp(-1 / 32)));
    else if (dynamics === "wiener") kernels.perturb(live, moveAt(tick, 0.004 * Math.sqrt(1 / 32)));
  }
  return live;
}

describe.each(variants)("$name", ({ kernels }) => {
  describe.each(Object.keys(DYNAMICS))("%s", (dynamics) => {
    it.each(Object.keys(SETTINGS))("%s", async (name) => {
      const { ticks, options } = SETTINGS[name]!;
      const bath = await Thermostat.open(
        MODEL,
        { ...options, dynamics, seed: 42n, skipUnsupported: true, scratch: folder },
        kernels,
      );
      for (let tick = 0; tick < ticks; tick++) await bath.tick();
      const bytes = readFileSync(bath.livePath);
      expect(bath.tensors.length).toBe(18);
      for (const tensor of bath.tensors)
        check(`${dynamics} ${name} ${tensor.type}`, hash(bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)));
      check(`${dynamics} ${name} differences`, String(await bath.difference()));
      await bath.close();
    });

    it("rows of bare codes", () => check(`${dynamics} rows I8`, hash(moveRows(kernels, dynamics, 50))));
  });
});

afterAll(() => {
  if (freezing) writeFileSync(FROZEN, `${JSON.stringify(fresh, null, 2)}\n`);
});
