// node scripts/check/hashes.mjs BACKEND ISA [RANDOM]: makes the grid of calls in cases.mjs and RANDOM random ones, and prints one line a call:
// a hash of what came out, and what was called. Two machines that print the same compute the same.
import { createHash } from "node:crypto";
import { jsKernels } from "../../dist/kernels/js.js";
import { loadNative } from "../../dist/kernels/native.js";
import { loadWasm } from "../../dist/kernels/wasm.js";
import { gridCases, randomCase } from "./cases.mjs";

const [backend, isa, random = "0"] = process.argv.slice(2);
const kernels = backend === "native" ? loadNative(isa, 1) : backend === "wasm" ? loadWasm(isa) : jsKernels;
if (kernels.backend !== backend || kernels.isa !== isa) throw new Error(`there is no ${backend} ${isa}`);

const lines = [];
function print({ what, run }) {
  const { out, numbers } = run(kernels);
  const hash = createHash("sha256")
    .update(Buffer.from(out.buffer, out.byteOffset, out.byteLength))
    .update(String(numbers));
  lines.push(`${hash.digest("hex").slice(0, 16)} ${what}`);
}
for (const test of gridCases()) print(test);
for (let seed = 1; seed <= Number(random); seed++) print(randomCase(seed));
process.stdout.write(`${lines.join("\n")}\n`);
