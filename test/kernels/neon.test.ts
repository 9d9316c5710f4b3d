// NEON on other machines: the real addon, cross-built for AArch64 and loaded into a real Node for AArch64 under qemu, gives the bytes of plain
// JavaScript here. Skipped, with the reason on the console, where the compiler, qemu or that Node cannot be had (scripts/check/arm64.mjs).
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { ADDON, missing, OBJDUMP, prepare } from "../../scripts/check/arm64.mjs";
import { disassemble } from "../../scripts/check/disassembly.mjs";

/** Random calls beside the grid. */
const RANDOM = "100";

const reason = () => unavailable ?? "the addon for AArch64 was not built";

/** It takes minutes: npm run trial:emulated. */
const asked = import.meta.env.MODE === "emulated";
let unavailable: string | null = asked ? missing() : "npm run trial:emulated has it";
let run: ReturnType<typeof prepare> | undefined;

function hashes(command: () => { status: number | null; stdout: string; stderr: string }): string[] {
  const { status, stdout, stderr } = command();
  expect(status, stderr).toBe(0);
  return stdout.trim().split("\n");
}

beforeAll(() => {
  if (unavailable === null) {
    try {
      run = prepare();
    } catch (error) {
      // No network is no failure; code that does not compile is one.
      if (!(error as Error).message.startsWith("npm pack")) throw error;
      unavailable = "the Node for AArch64 cannot be fetched";
    }
  }
  if (unavailable !== null) console.warn(`SKIPPED NEON on another machine: ${unavailable}`);
});

describe("AArch64", () => {
  // Every kernel, format and rounding, and all sizes of noise: gridCases in scripts/check/cases.mjs.
  it.for(["neon", "scalar"])("%s has the bytes of plain JavaScript", (isa, { skip }) => {
    if (run === undefined) return skip(reason());
    const arm64 = run;
    const script = fileURLToPath(new URL("../../scripts/check/hashes.mjs", import.meta.url));
    const expected = hashes(() => spawnSync(process.execPath, [script, "js", "scalar", RANDOM], { encoding: "utf8" }));
    const actual = hashes(() => arm64("hashes.mjs", ["native", isa, RANDOM]));
    expect(expected.length).toBeGreaterThan(600);
    // Nothing repeats but the empty cases: the hashes do tell calls apart.
    expect(new Set(expected.map((line) => line.slice(0, 16))).size).toBeGreaterThan(0.98 * expected.length);
    expect(actual).toEqual(expected);
  });

  it("has no fused multiply-add", ({ skip }) => {
    if (run === undefined) return skip(reason());
    const { count, fused } = disassemble(OBJDUMP, ADDON);
    expect(count).toBeGreaterThan(10_000);
    expect(fused).toEqual([]);
  });

  it("would have some if the compiler were allowed to", ({ skip }) => {
    if (run === undefined) return skip(reason());
    const folder = mkdtempSync(join(tmpdir(), "brownian-fma-"));
    try {
      const source = join(folder, "f.cc");
      const object = join(folder, "f.o");
      writeFileSync(source, "float f(float a, float b, float c) { return a * b + c; }\n");
      expect(spawnSync("aarch64-linux-gnu-g++", ["-O2", "-c", source, "-o", object]).status).toBe(0);
      expect(disassemble(OBJDUMP, object).fused).toHaveLength(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
