// Loads in worker threads leave nothing behind, and a worker that ends while its job runs does not end the process. A short run of
// `npm run trial:leaks` (scripts/check/worker-loads.mjs, which has the tolerances); results of the long one: docs/results/robustness.md.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { native } from "../support/backends.js";

const script = fileURLToPath(new URL("../../scripts/check/worker-loads.mjs", import.meta.url));
const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });

describe.skipIf(!existsSync("/proc/self/status"))("the library in worker threads", () => {
  it("leaves no memory, threads, files or mappings behind", () => {
    // Two of them end at work while it warms up: the C library keeps the data of one, 20 MB, for the next from the second on.
    const { status, stdout, stderr } = run("--loads", "10", "--warm-up", "12");
    expect(status, stdout + stderr).toBe(0);
    // Every fifth worker was ended while it worked (but one may be done before the word reaches it).
    if (native.length > 0) expect(stdout).toMatch(/\b[12] ended while at work/);
  });

  it("would be found out if it kept 1 MB a load", () => {
    const { status, stdout } = run("--loads", "6", "--warm-up", "3", "--hold", String(2 ** 20));
    expect(status, stdout).toBe(1);
    expect(Number(/the library's own: (\S+) kB a load/.exec(stdout)?.[1]), stdout).toBeGreaterThan(800);
  });
});
