// A fused multiply-add rounds once where other backends round twice: the addon must hold none. Disassembled where objdump is.
// (The addon for AArch64 is looked through in neon.test.ts, which builds it.)
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { disassemble } from "../../scripts/check/disassembly.mjs";

const addon = fileURLToPath(new URL("../../build/Release/brownian.node", import.meta.url));
const objdump = spawnSync("objdump", ["--version"]).status === 0;
if (!objdump) console.warn("SKIPPED the search for fused multiply-adds: there is no objdump here");

const seen = objdump && existsSync(addon) ? disassemble("objdump", addon) : undefined;

it.skipIf(seen === undefined)("the native addon has no fused multiply-add", () => {
  expect(seen?.count).toBeGreaterThan(10_000);
  expect(seen?.fused).toEqual([]);
});

// What two targets compile alike, the linker keeps once, and it may be that of the wider one: on a lesser processor it would not run.
it.skipIf(seen === undefined || process.arch !== "x64")("wide vectors are used by their own targets alone", () => {
  expect(seen?.wide.length).toBeGreaterThan(20);
  expect(seen?.wide.filter((name) => !/\bavx(2|512)::/.test(name))).toEqual([]);
});

// GCC on Windows leaves stacks aligned to 16 bytes: scripts/build/prebuild.mjs refuses an addon for Windows with such moves.
const compiler = process.arch === "x64" && spawnSync("g++", ["--version"]).status === 0;
it.skipIf(!objdump || !compiler)("moves that need aligned memory are found, and the assembler can be told to write none", () => {
  const folder = mkdtempSync(join(tmpdir(), "brownian-aligned-"));
  try {
    const source = join(folder, "f.cc");
    const object = join(folder, "f.o");
    writeFileSync(source, "typedef float v __attribute__((vector_size(32)));\nvoid f(v* to, const v* from) { *to = *from; }\n");
    const moves = (...flags: string[]) => {
      expect(spawnSync("g++", ["-O2", "-mavx2", ...flags, "-c", source, "-o", object]).status).toBe(0);
      return disassemble("objdump", object).aligned.length;
    };
    expect(moves()).toBe(2);
    expect(moves("-Wa,-muse-unaligned-vector-move")).toBe(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
