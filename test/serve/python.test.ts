// Python's openai client against the server. It has a virtual environment of its own, which `npm run trial:python` makes; skipped without.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { started, why } from "./support.js";

const ENVIRONMENT = resolve(import.meta.dirname, "../../build/python-client");
const PYTHON = join(ENVIRONMENT, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
const missing = why ?? (existsSync(PYTHON) ? undefined : "it is not installed (npm run trial:python does that)");
if (missing !== undefined) console.warn(`SKIPPED Python's openai client: ${missing}`);

it.skipIf(missing !== undefined)("is what Python's openai client expects", async () => {
  const { url } = await started({ apiKey: "secret" });
  const child = spawn(PYTHON, [join(import.meta.dirname, "client.py"), url]);
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  const code = await new Promise((done) => child.once("close", done));
  expect(said).toBe("");
  expect(code).toBe(0);
  const running = async () => ((await (await fetch(`${url}/health`)).json()) as { running: number }).running;
  while ((await running()) > 0) await sleep(10); // the stream that was closed frees its place
});
