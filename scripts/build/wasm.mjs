// Compiles assembly/ to two WebAssembly modules, with SIMD and without, and writes their bytes as TypeScript to src/kernels/generated/,
// so that no bundler has a file to lose. In hexadecimal digits: a page gets them compressed, and base64 compresses to a fifth more.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const OUT = join(ROOT, "src", "kernels", "generated");

/** No allocator, no imports, no traps of its own. */
const FLAGS = ["--runtime", "stub", "--use", "abort=", "--noAssert", "-O3", "--converge"];

export async function buildWasm() {
  const { default: asc } = await import("assemblyscript/asc");
  mkdirSync(OUT, { recursive: true });
  // Each exports its kernel: what is in the folder is in the module.
  const evolutions = readdirSync(join(ROOT, "assembly", "evolutions"))
    .sort()
    .map((name) => `assembly/evolutions/${name}`);
  for (const variant of ["scalar", "simd"]) {
    const outputs = new Map();
    const simd = variant === "simd" ? ["--enable", "simd"] : [];
    const { error, stderr } = await asc.main(
      [`assembly/index.${variant}.ts`, ...evolutions, "--baseDir", ROOT, "--outFile", "out.wasm", ...FLAGS, ...simd],
      {
        writeFile: (name, contents) => outputs.set(name, contents),
      },
    );
    if (error) throw new Error(`${stderr.toString()}\n${error.message}`);
    const bytes = Buffer.from(outputs.get("out.wasm"));
    writeFileSync(
      join(OUT, `${variant}.wasm.ts`),
      `// Made by scripts/build/wasm.mjs from assembly/index.${variant}.ts (${bytes.length} bytes).\nexport const WASM = "${bytes.toString("hex")}";\n`,
    );
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildWasm();
