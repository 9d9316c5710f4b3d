// A fused multiply-add rounds once where other backends round twice: the addon must hold none. Disassembled where objdump is.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const addon = fileURLToPath(new URL("../build/Release/brownian.node", import.meta.url));
const objdump = spawnSync("objdump", ["--version"]).status === 0;
if (!objdump) console.warn("SKIPPED the search for fused multiply-adds: there is no objdump here");

it.skipIf(!objdump || !existsSync(addon))("the native addon has no fused multiply-add", () => {
  const { stdout } = spawnSync("objdump", ["-d", "--no-show-raw-insn", addon], { encoding: "utf8", maxBuffer: 1 << 28 });
  const instructions = stdout.split("\n").filter((line) => /^\s+[0-9a-f]+:\t/.test(line));
  expect(instructions.length).toBeGreaterThan(10_000);
  const fused = instructions.filter((line) => /\bv?f(n?m(add|sub)|maddsub|msubadd)|\bfmla|\bfmls/.test(line));
  expect(fused).toEqual([]);
});
