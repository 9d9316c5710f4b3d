import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readModel } from "../src/files/index.js";
import { decode } from "../src/lattice/decode.js";
import { Thermostat } from "../src/thermostat/index.js";
import { fastest } from "./support/backends.js";
import { type SyntheticTensor, scratchFolder, writeGguf } from "./support/synthetic-gguf.js";
const folder = scratchFolder();
const MODEL = "test/fixtures/ggml-types.gguf";
const WIDTH = 512, ROWS = Number(process.env.ROWS ?? 256);
it("explore", async () => {
  const model = await readModel(MODEL);
  const bytes = readFileSync(MODEL);
  const path = join(folder, "big.gguf");
  const name = (t: string) => t;
  writeGguf(path, model.tensors.map((t): SyntheticTensor => ({ name: t.name, type: t.type, shape: [WIDTH, ROWS], data: { repeat: bytes.subarray(t.offset, t.offset + t.bytes) } })));
  const imatrix = join(folder, "imatrix.gguf");
  const floats = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);
  writeGguf(imatrix, model.tensors.flatMap((t): SyntheticTensor[] => [
    { name: `${t.name}.in_sum2`, type: "F32", shape: [WIDTH, 1], data: floats(Array.from({ length: WIDTH }, (_, j) => 64 * 2 ** (((j * 29) % 64) / 8 - 4))) },
    { name: `${t.name}.counts`, type: "F32", shape: [1, 1], data: floats([64]) }]),
    { metadata: { "general.type": "imatrix", "imatrix.datasets": ["made up"], "imatrix.chunk_count": 1, "imatrix.chunk_size": 512 } });
  const big = await readModel(path);
  const pristine = readFileSync(path);
  const DYN = process.env.DYN ?? "draw";
  const settings: any = process.env.LANG ? { "rms .05": { sigma: 0.05 }, "rms .1": { sigma: 0.1 }, "rms .2": { sigma: 0.2 }, "rms .5": { sigma: 0.5 }, "imatrix .1": { sigma: 0.1, scale: "imatrix", imatrix }, "step 1": { sigma: 1, scale: "step" } } : {
    "rms .01": { sigma: 0.01 }, "rms .05": { sigma: 0.05 }, "rms .2": { sigma: 0.2 }, "rms 1": { sigma: 1 }, "step .3": { sigma: 0.3, scale: "step" }, "step 2": { sigma: 2, scale: "step" }, "imatrix .05": { sigma: 0.05, scale: "imatrix", imatrix }, "imatrix .2": { sigma: 0.2, scale: "imatrix", imatrix },
    "stoch .1": { sigma: 0.1, rounding: "stochastic" }, "near .2": { sigma: 0.2, rounding: "nearest" } };
  for (const [what, options] of Object.entries<any>(settings)) {
    const bath = await Thermostat.open(path, { ...options, dynamics: DYN === "draw" ? "quenched" : DYN, tau: Number(process.env.TAU ?? 32), ...(process.env.STRIDE ? { stride: Number(process.env.STRIDE) } : {}), seed: 3n, skipUnsupported: true, scratch: folder }, fastest);
    const out: string[] = [];
    const acc = new Map<string, number[]>();
    const T = Number(process.env.T ?? 4), BURN = Number(process.env.BURN ?? 0);
    for (let i = 0; i < BURN; i++) await bath.tick();
    for (let t = 0; t < T; t++) {
      if (DYN === "draw") await bath.draw(t); else for (let i = 0; i < Number(process.env.GAP ?? 16); i++) await bath.tick();
      const live = readFileSync(bath.livePath);
      for (const { tensor, dose } of await bath.doses()) {
        const a = decode(tensor.type, pristine.subarray(tensor.offset, tensor.offset + tensor.bytes)), b = decode(tensor.type, live.subarray(tensor.offset, tensor.offset + tensor.bytes));
        let d2 = 0, d4 = 0, n = 0;
        const steps = options.scale === "step";
        if (steps && /F/.test(tensor.type)) continue;
        let stepAt: any = undefined;
        if (steps) { const { stepsOf } = await import("../src/lattice/decode.js"); const { formatNamed } = await import("../src/lattice/formats.js"); const f: any = formatNamed(tensor.type); const s = stepsOf(f, pristine.subarray(tensor.offset, tensor.offset + tensor.bytes)); const g = a.length / s.length; const gap = f.lattice.levels === "iq4nl" ? 16 : f.lattice.levels === "e2m1" ? 24 / 14 : 1; stepAt = (i: number) => s[Math.floor(i / g)]! * gap; }
        for (let i = 0; i < a.length; i++) { let e = (b[i]! - a[i]!); if (stepAt) { const s = stepAt(i); if (!(s > 0)) continue; e /= s; } e *= e; d2 += e; d4 += e * e; n++; }
        const x = acc.get(tensor.type) ?? [0, 0, 0, dose.asked, dose.law, dose.given];
        x[0]! += d2; x[1]! += d4; x[2]! += n; acc.set(tensor.type, x);
      }
    }
    for (const [type, [d2, d4, n, asked, law, given]] of acc as any) {
      const ms = d2 / n, se = Math.sqrt((d4 / n - ms * ms) / n) / ms;
      out.push(`${type.padEnd(7)} ${(ms / asked ** 2).toFixed(4)} ±${(se).toFixed(4)} law ${(law / asked).toFixed(3)} given ${((given / asked) ** 2).toFixed(4)}`);
    }
    console.log(`== ${what}\n${out.join("\n")}`);
    await bath.close();
  }
}, 300000);
