// A fused multiply-add rounds once where other backends round twice: the addon must hold none. Disassembled where objdump is.
// (The addon for AArch64 is looked through in neon.test.ts, which builds it.)
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { disassemble } from "../scripts/disassembly.mjs";

const addon = fileURLToPath(new URL("../build/Release/brownian.node", import.meta.url));
const objdump = spawnSync("objdump", ["--version"]).status === 0;
if (!objdump) console.warn("SKIPPED the search for fused multiply-adds: there is no objdump here");

it.skipIf(!objdump || !existsSync(addon))("the native addon has no fused multiply-add", () => {
  const { count, fused } = disassemble("objdump", addon);
  expect(count).toBeGreaterThan(10_000);
  expect(fused).toEqual([]);
});
