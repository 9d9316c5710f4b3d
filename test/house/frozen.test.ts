// Frozen outputs: somebody's seed from last year must give the same text. The hashes in frozen.json change only with a major version
// (write them anew with FREEZE=1 npx vitest run test/house/frozen.test.ts, and say why in the changelog).
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { FORMATS } from "../../src/lattice/formats.js";
import { perturb } from "../../src/lattice/perturb.js";
import { Rounding } from "../../src/laws/numbers.js";
import { Noise } from "../../src/noise/index.js";
import { variants } from "../support/backends.js";

const path = new URL("./frozen.json", import.meta.url);
const frozen = JSON.parse(readFileSync(path, "utf8")) as Record<string, string>;
const fresh: Record<string, string> = {};
const freezing = process.env.FREEZE === "1";

const hash = (a: Uint8Array | Uint32Array | Float32Array) =>
  createHash("sha256")
    .update(Buffer.from(a.buffer, a.byteOffset, a.byteLength))
    .digest("hex")
    .slice(0, 32);

function check(name: string, value: string): void {
  if (freezing) fresh[name] = value;
  else expect(value, name).toBe(frozen[name]);
}

describe.each(variants)("$name", ({ kernels }) => {
  it("noise", () => {
    const stream = new Noise(42n, kernels).stream("blk.0.attn_q.weight");
    const at = { index: 12345, tick: 678 };
    check("bits", hash(stream.bits(new Uint32Array(1000), at)));
    check("uniform", hash(stream.uniform(new Float32Array(1000), at)));
    check("normal", hash(stream.normal(new Float32Array(1000), at)));
  });

  it.each(FORMATS.map((format) => ({ name: format.name, format })))("moves of $name", ({ name, format }) => {
    for (const rounding of Object.keys(Rounding) as Rounding[]) {
      for (const sigma of [0.003, 0.03, 0.3]) {
        const blocks = 4096 / format.weights;
        const data = new Uint8Array(blocks * format.bytes).map((_, i) => (i * 37 + (i >> 8) * 11) & 255);
        if (format.lattice?.step === "f16") {
          for (let b = 0; b < blocks; b++) data.set([(b * 7) & 255, 0x28 + (b & 3)], b * format.bytes);
        }
        const step = format.lattice?.step === "external" ? { step: 0.05 } : {};
        perturb(data, { type: name, sigma, seed: 42n, name: "w", tick: 3, rounding, ...step }, kernels);
        check(`${name} ${rounding} ${sigma}`, hash(data));
      }
    }
  });
});

afterAll(() => {
  if (freezing) writeFileSync(path, `${JSON.stringify(fresh, null, 2)}\n`);
});
