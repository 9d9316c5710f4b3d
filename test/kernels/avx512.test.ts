// The AVX-512 target where the processor does not have it: compiled against SIMDe, it gives the bytes of plain JavaScript. Skipped, with the
// reason on the console, where SIMDe is not installed, or where AVX-512 itself runs (equality.test.ts).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { missing, prepare } from "../../scripts/check/avx512.mjs";
import { native } from "../support/backends.js";

/** Random calls beside the grid. */
const RANDOM = "100";

const real = native.some(({ name }) => name.endsWith("avx512"));
/** It takes minutes: npm run trial:emulated. */
const asked = import.meta.env.MODE === "emulated";
const elsewhere = asked ? missing() : "npm run trial:emulated has it";
const unavailable = real ? "this processor runs AVX-512 itself" : elsewhere;
let run: ReturnType<typeof prepare> | undefined;

beforeAll(() => {
  if (unavailable === null) run = prepare();
  else console.warn(`SKIPPED AVX-512 by emulation: ${unavailable}`);
});

describe("AVX-512 by emulation", () => {
  // Every kernel, format and rounding, and all sizes of noise: gridCases in scripts/check/cases.mjs.
  it("has the bytes of plain JavaScript", ({ skip }) => {
    if (run === undefined) return skip(unavailable ?? "it was not built");
    const script = fileURLToPath(new URL("../../scripts/check/hashes.mjs", import.meta.url));
    const expected = spawnSync(process.execPath, [script, "js", "scalar", RANDOM], { encoding: "utf8" });
    const actual = run("hashes.mjs", ["native", "avx512", RANDOM]);
    expect(actual.status, actual.stderr).toBe(0);
    expect(expected.stdout.trim().split("\n").length).toBeGreaterThan(600);
    expect(actual.stdout).toBe(expected.stdout);
  });
});
