// npm run trial:fuzz -- --seconds 60 [--seed N]: random arguments to every kernel on every backend that runs here, compared with plain JavaScript
// byte by byte. Prints the seed of the first difference, with which it happens again, and fails.
import { parseArgs } from "node:util";
import { jsKernels } from "../../dist/kernels/js.js";
import { loadNative, nativeTargets } from "../../dist/kernels/native.js";
import { loadWasm } from "../../dist/kernels/wasm.js";
import { randomCase } from "./cases.mjs";

const { values } = parseArgs({ options: { seconds: { type: "string", default: "10" }, seed: { type: "string" } } });
const seconds = Number(values.seconds);
let seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);

const others = [];
try {
  for (const t of nativeTargets()) if (t.runs) others.push(loadNative(t.name, 1));
} catch (error) {
  console.error(`left out: native (${error.message})`);
}
for (const isa of ["scalar", "simd128"]) others.push(loadWasm(isa));

const same = (a, b) =>
  Buffer.compare(Buffer.from(a.buffer, a.byteOffset, a.byteLength), Buffer.from(b.buffer, b.byteOffset, b.byteLength)) === 0;

const end = performance.now() + seconds * 1000;
let cases = 0;
let weights = 0;
for (; performance.now() < end; seed = (seed + 1) >>> 0, cases++) {
  const test = randomCase(seed);
  const expected = test.run(jsKernels);
  weights += test.weights;
  for (const kernels of others) {
    const actual = test.run(kernels);
    if (same(actual.out, expected.out) && actual.numbers.every((x, i) => Object.is(x, expected.numbers[i]))) continue;
    console.error(
      `${kernels.backend} ${kernels.isa} differs from js: ${test.what}\nagain: npm run trial:fuzz -- --seconds 1 --seed ${seed}`,
    );
    process.exit(1);
  }
}
console.log(`${cases} cases, ${weights} elements, ${others.length} variants against js: no difference`);
