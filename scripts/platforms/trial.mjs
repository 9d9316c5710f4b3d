// What every trial of a platform uses: the folder it lies in, how it runs a program, what it computes, and the table of what was seen.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { npmProgram, withVariables } from "../environment.mjs";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const scratch = mkdtempSync(join(realpathSync(tmpdir()), "brownian-platforms-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true, maxRetries: 3 }));

/** A program of the checkout's own packages. */
export const bin = (name) => join(ROOT, "node_modules", name);

export function run(command, args, options = {}) {
  const env = withVariables(options.env);
  for (const name of Object.keys(env)) if (/^(BROWNIAN_|NODE_PATH$|NODE_OPTIONS$|npm_)/.test(name)) delete env[name];
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, timeout: 300_000, ...options, env });
  return { ...result, text: `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}` };
}

export const node = (cwd, ...args) => run(process.execPath, args, { cwd });

// --- the table

/** What cannot be tried on this machine: no failure, but a row that says so. */
export class NotHere extends Error {}

export const rows = [];

/** One line of the table: what was tried, and what came of it. */
export async function note(what, see) {
  let seen;
  let verdict = "fine  ";
  try {
    seen = await see();
  } catch (error) {
    const first = error.message.trim().split("\n");
    verdict = error instanceof NotHere ? "not   " : "FAILED";
    seen = error instanceof NotHere ? `not tried: ${first[0]}` : `FAILED: ${first.slice(0, 3).join(" / ").slice(0, 300)}`;
    if (verdict === "FAILED") console.error(error.message);
  }
  rows.push({ what, seen, failed: verdict === "FAILED", tried: verdict !== "not   " });
  console.error(`${verdict} ${what}: ${seen}`);
}

export function demand(condition, message) {
  if (!condition) throw new Error(message);
}

/** What `get` returns; where it fails, because the network or this machine lacks something, no failure of the package's. */
export function orNotHere(get) {
  try {
    return get();
  } catch (error) {
    throw new NotHere(error.message);
  }
}

// --- what is computed

/** What every host has to compute from `brownian`: normals, and a move in each format. Leaves "backend isa hex" in `seen`. */
const BODY = `
  const parts = [];
  const stream = new brownian.Noise(42n).stream("proof");
  parts.push(new Uint8Array(stream.normal(new Float32Array(4096)).buffer));
  for (const format of brownian.FORMATS) {
    // Codes of all kinds; bytes below 64 keep every scale finite.
    const data = Uint8Array.from({ length: format.bytes * 64 }, (_, i) => ((i * 2654435761) >>> 7) & 63);
    brownian.perturb(data, { type: format.name, sigma: 0.05, scale: "step", seed: 7n, name: format.name, ...(format.name === "I8" && { step: 0.01 }) });
    parts.push(data);
  }
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  let text = "";
  for (const byte of all) text += byte.toString(16).padStart(2, "0");
  const seen = brownian.backend.name + " " + brownian.backend.isa + " " + text;`;
export const ESM = (from = "brownian", then = "console.log(seen);") => `import * as brownian from "${from}";\n${BODY}\n${then}\n`;
export const CJS = `const brownian = require("brownian");\n${BODY}\nconsole.log(seen);\n`;

/**
 * What every host has to make of weights that are many, of `brownian` as the first lines bring it: leaves "backend, threads, their memory, checksum,
 * reason" in `seen`.
 */
export const THREADED = (begin, then = "console.log(seen);") => `${begin}
const data = new Uint8Array(34 * 2 ** 20); // 32 Mi weights
for (let i = 0; i < data.length; i++) data[i] = i % 34 === 0 ? 0 : i % 34 === 1 ? 0x20 : (i >> 3) & 63;
await brownian.perturbAsync(data, { type: "Q8_0", sigma: 0.01, seed: 7n });
const { number, memory = "none", reason = "" } = await brownian.backend.threads();
let sum = 0;
for (const byte of data) sum = (Math.imul(sum, 31) + byte) | 0;
const seen = [brownian.backend.name, number, memory, sum, reason].join(" ");
${then}
`;

let checksum;
/** Checks that WebAssembly had threads with this kind of memory ("none": it had none), and made the bytes that the first made. */
export function expectThreads(line, wanted) {
  const [, name, number, memory, sum, reason] = /^(\w+) (\d+) (\w+) (-?\d+) (.*?)\s*$/.exec(line) ?? [];
  demand(sum !== undefined, `unexpected output: ${line.slice(0, 500)}`);
  checksum ??= sum;
  demand(name === "wasm" && memory === wanted, `${name}, memory ${memory}, not ${wanted}: ${reason}`);
  demand(sum === checksum, `checksum ${sum}, not ${checksum}`);
  return memory === "none" ? `none, the same bytes: ${reason.slice(0, 120)}` : `${number}, memory ${memory}, the same bytes`;
}

let reference;
/** Checks that "backend isa hex" names this backend and has the bytes that the first had. */
export function expectSeen(line, backend) {
  const [, name, isa, hex] = /^(\w+) (\w+) ([0-9a-f]+)\s*$/.exec(line) ?? [];
  demand(hex !== undefined, `unexpected output: ${line.slice(0, 500)}`);
  const hash = createHash("sha256").update(hex).digest("hex").slice(0, 12);
  reference ??= hash;
  demand(name === backend, `runs ${name} ${isa}, not ${backend}`);
  demand(hash === reference, `bytes ${hash}, not ${reference}`);
  return `${name} ${isa}, bytes ${hash}`;
}

export function expectRun(result, backend) {
  demand(result.status === 0, result.text || "no output");
  return expectSeen(result.stdout, backend);
}

/** A fresh folder with the programs to try; with the packages of another folder, if that is given. */
export function folder(name, from) {
  const made = join(scratch, name);
  if (from === undefined) {
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, "package.json"), '{ "private": true, "type": "module" }\n');
  } else cpSync(from, made, { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(made, "esm.mjs"), ESM());
  writeFileSync(join(made, "cjs.cjs"), CJS);
  writeFileSync(join(made, "web.mjs"), ESM("brownian/web"));
  return made;
}

// --- npm

export const npm = (cwd, args, options = {}) => run(process.execPath, [npmProgram, ...args], { cwd, ...options });

/** Where npm is told to find packages: other managers must ask there too. */
export const registry = () => npm(scratch, ["config", "get", "registry"]).stdout.trim();

/** A fresh folder with these packages of others in it. */
export function tools(name, packages) {
  const made = join(scratch, name);
  mkdirSync(made, { recursive: true });
  writeFileSync(join(made, "package.json"), '{ "private": true }\n');
  const { status, text } = npm(made, ["install", ...packages, "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0) throw new NotHere(`npm install ${packages.join(" ")}: ${text.trim().split("\n")[0]}`);
  return made;
}

/** The version of a package in a folder of packages. */
export const versionOf = (folder, name) =>
  orNotHere(() => JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version);
