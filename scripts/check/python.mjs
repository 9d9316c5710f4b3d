// Python's openai client against the server: makes a virtual environment of its own in build/, once, and runs test/serve/python.test.ts with it.
//   npm run trial:python
// Needs python3 with venv, and pip's index.

import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");
const folder = join(ROOT, "build", "python-client");
const bin = join(folder, process.platform === "win32" ? "Scripts" : "bin");

function run(program, args) {
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: "inherit" });
  if (status === 0) return;
  console.error(`${program} ${args.join(" ")} failed${error ? `: ${error.message}` : ""}.`);
  process.exit(1);
}

if (!existsSync(join(bin, process.platform === "win32" ? "openai.exe" : "openai"))) {
  rmSync(folder, { recursive: true, force: true });
  run(process.platform === "win32" ? "python" : "python3", ["-m", "venv", folder]);
  run(join(bin, "python"), ["-m", "pip", "install", "--quiet", "openai"]);
}
run(process.execPath, [join(ROOT, "node_modules", "vitest", "vitest.mjs"), "run", "test/serve/python.test.ts"]);
