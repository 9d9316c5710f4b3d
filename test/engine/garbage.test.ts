// The engine's part of the addon called by itself, without what stands before it: whatever it is given, it throws an Error or computes, and lives. In a
// process of its own, so that a crash is a test that fails and says which call it was (test/support/engine-garbage.mjs).
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const script = fileURLToPath(new URL("../support/engine-garbage.mjs", import.meta.url));
const folder = scratchFolder();
/** 10,000 of each of three seeds were called once (docs/results/robustness.md). */
const CALLS = 1000;
const SEED = 2;

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED garbage for llama.cpp's C API: ${why}`);

it.skipIf(why !== undefined)("the engine's part of the addon refuses garbage, and lives", { timeout: 300_000 }, () => {
  const args = [script, folder, String(CALLS), String(SEED)];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  const last = () => readFileSync(join(folder, "last-call"), "utf8").trim();
  expect(signal ?? status, `it ended in ${last()}: ${stderr.slice(-500)}`).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ calls: CALLS, problems: [] });
});
