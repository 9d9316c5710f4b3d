// The addon called by itself, without what stands before it: whatever it is given, it throws an Error and leaves memory alone. In a process
// of its own, so that a crash is a test that fails and says which call it was (test/support/addon-garbage.mjs).
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { encodedFormat, FORMATS } from "../../src/lattice/formats.js";
import { alias } from "../../src/laws/alias.js";
import { relaxation } from "../../src/laws/relaxation.js";
import { HITS, LAW_TAILS } from "../../src/laws/tables.js";
import { native } from "../support/backends.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const addon = fileURLToPath(new URL("../../build/Release/brownian.node", import.meta.url));
const script = fileURLToPath(new URL("../support/addon-garbage.mjs", import.meta.url));
const folder = scratchFolder();
const RANDOM_CALLS = 6000;
const SEED = 202603;

it.skipIf(native.length === 0 || !existsSync(addon))("the addon refuses garbage, and lives", () => {
  const formats = FORMATS.map((format) => ({ name: format.name, encoded: [...encodedFormat(format)] }));
  const q8 = FORMATS.find(({ name }) => name === "Q8_0");
  const parameters = [...relaxation.parameters(Math.fround(0.9), encodedFormat(q8 as (typeof FORMATS)[number]))];
  const inputs = { addon, formats, parameters, tails: [...LAW_TAILS], hits: [...HITS], alias: [...alias()] };
  writeFileSync(join(folder, "inputs.json"), JSON.stringify(inputs));
  const args = ["--expose-gc", script, folder, String(RANDOM_CALLS), String(SEED)];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  const last = () => readFileSync(join(folder, "last-call"), "utf8").trim();
  expect(signal ?? status, `it ended in ${last()}: ${stderr}`).toBe(0);
  const { calls, problems } = JSON.parse(stdout);
  expect(problems).toEqual([]);
  expect(calls).toBeGreaterThan(RANDOM_CALLS + 5000);
});
