// Brings a checkout from nothing to runnable: packages, native addon (where a compiler is), WASM, TypeScript. Each step is done only when
// what it depends on has changed. Needs nothing but Node and npm; `npm start`, `npm test` and `npm run bench` begin with it, and npm runs it
// as `prepare`: after packages are installed in a clone, before one is packed, and for whoever installs the repository by its address.
// An addon that did not compile is tried again when its sources or the compiler have changed, or with --again.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cxxCompiler, gypHeaders, npm, onPath, preparingFor, SETUP, startedBySetup, withVariables } from "../environment.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const STAMPS = join(ROOT, "build", "stamps");
const NOT_COMPILED =
  "the native addon did not compile (build/native.log says why); WebAssembly does the work, with the same results, more slowly";
/** What lies in native/ while npm packs (native-sources.mjs). */
const PACKED = /^native.(binding\.gyp$|node-addon-api)/;
const windows = process.platform === "win32";

if (startedBySetup) process.exit(0); // npm, which setup started, runs this again
const again = process.argv.includes("--again");
for (const argument of process.argv.slice(2)) {
  if (argument === "--again") continue;
  process.stderr.write(`setup: unknown argument ${argument}: there is --again, to compile anew what did not compile\n`);
  process.exit(2);
}

/** Hash of files and folders (recursively) under the root, and of any other strings that matter. */
function fingerprint(paths, ...others) {
  const hash = createHash("sha256");
  const visit = (path) => {
    const full = join(ROOT, path);
    if (!existsSync(full)) hash.update(`${path} missing\n`);
    else if (statSync(full).isDirectory()) for (const name of readdirSync(full).sort()) visit(join(path, name));
    else if (PACKED.test(path)) return;
    else hash.update(path).update(readFileSync(full));
  };
  for (const path of paths) visit(path);
  for (const other of others) hash.update(String(other));
  return hash.digest("hex");
}

/** Runs `work` unless it was done for this fingerprint and left its product; `work` returns false when it must be tried again next time. */
async function step(name, print, product, work) {
  const stamp = join(STAMPS, name);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === print && (product === null || existsSync(join(ROOT, product)))) return;
  if ((await work()) === false) return;
  mkdirSync(STAMPS, { recursive: true });
  writeFileSync(stamp, print);
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26, ...options });
}

function say(line) {
  process.stderr.write(`setup: ${line}\n`);
}

function fail(what, result) {
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}\n`);
  say(`${what} failed.`);
  process.exit(1);
}

const hasPackages = () => existsSync(join(ROOT, "node_modules", "typescript", "package.json"));

function installPackages() {
  if (preparingFor === "install" || preparingFor === "ci") {
    if (hasPackages()) return; // npm has just done that
    say("packages for development were left out, so nothing is built: npm run setup does both");
    process.exit(0);
  }
  say("installing packages (once; about a minute)");
  // Not `npm ci`: it refuses where a registry lacks optional packages of other platforms. With the lock file the versions are the same.
  const args = ["install", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = npm(args, { cwd: ROOT, maxBuffer: 1 << 26, env: withVariables(SETUP) });
  if (result.status !== 0) fail("npm", result);
}

/** What is missing to compile C++ here; null when nothing is. On Windows node-gyp itself looks for Visual Studio. */
function missingTool() {
  if (windows) return null;
  const compilers = [cxxCompiler, "c++", "g++", "clang++"].filter((name) => name !== undefined);
  if (!compilers.some((name) => existsSync(name) || onPath(name.split(" ")[0]))) return "no C++ compiler";
  if (!onPath("make") && !onPath("gmake")) return "no make";
  if (!onPath("python3") && !onPath("python")) return "no Python (node-gyp needs it)";
  return null;
}

/** What the compiler says of itself: with another one, what did not compile may. */
function compilerVersion() {
  if (windows) return "";
  const [command, ...flags] = (cxxCompiler ?? "c++").split(" ");
  return run(command, [...flags, "--version"]).stdout ?? "";
}

/** The addon, unless there is one of these sources, or it is known that they do not compile. */
async function native() {
  const print = fingerprint(["native", "binding.gyp"], machine, missingTool(), cxxCompiler, compilerVersion());
  const failed = join(STAMPS, "native-failed");
  if (!again && existsSync(failed) && readFileSync(failed, "utf8") === print) {
    say(`${NOT_COMPILED}; tried again when sources or compiler change, or by npm run setup -- --again.`);
    return;
  }
  rmSync(failed, { force: true });
  await step("native", print, missingTool() === null ? ADDON : null, () => {
    if (buildNative()) return true;
    mkdirSync(STAMPS, { recursive: true });
    writeFileSync(failed, print);
    return false;
  });
}

/** Whether all is as well as it can be here; false where the addon did not compile. */
function buildNative() {
  const missing = missingTool();
  if (missing !== null) {
    rmSync(join(ROOT, "build", "Release"), { recursive: true, force: true });
    say(`${missing}: no native addon; WebAssembly does the work, with the same results, more slowly.`);
    return true;
  }
  say("compiling the native addon (once)");
  const stamps = readStamps(); // node-gyp rebuild empties build/
  const result = run(process.execPath, [
    join(ROOT, "node_modules", "node-gyp", "bin", "node-gyp.js"),
    "rebuild",
    "--jobs=max",
    ...gypHeaders,
  ]);
  restoreStamps(stamps);
  if (result.status === 0) return true;
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const log = join(ROOT, "build", "native.log");
  writeFileSync(log, `${result.stdout}${result.stderr}`);
  rmSync(join(ROOT, "build", "Release"), { recursive: true, force: true });
  say(`${NOT_COMPILED}.`);
  return false;
}

function readStamps() {
  return existsSync(STAMPS) ? readdirSync(STAMPS).map((name) => [name, readFileSync(join(STAMPS, name))]) : [];
}

function restoreStamps(stamps) {
  mkdirSync(STAMPS, { recursive: true });
  for (const [name, content] of stamps) writeFileSync(join(STAMPS, name), content);
}

/** Puts the addon of this machine where the package has its addons, for whoever packs or installs this folder as it is. */
async function layAddon() {
  rmSync(join(ROOT, "prebuilds"), { recursive: true, force: true });
  const built = join(ROOT, ADDON);
  if (!existsSync(built)) return;
  const { hostName } = await import("../../dist/kernels/addon.js");
  const folder = join(ROOT, "prebuilds", hostName());
  mkdirSync(folder, { recursive: true });
  copyFileSync(built, join(folder, "brownian.node"));
}

async function buildWasm() {
  say("compiling WebAssembly (once)");
  const build = await import("./wasm.mjs");
  await build.buildWasm();
}

async function buildTypeScript() {
  say("compiling TypeScript");
  rmSync(join(ROOT, "dist"), { recursive: true, force: true });
  const result = run(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc")]);
  if (result.status !== 0) fail("TypeScript", result);
  const { bundle } = await import("./bundle.mjs");
  await bundle();
}

const ADDON = join("build", "Release", "brownian.node");
const machine = `${process.platform}-${process.arch}`;
await step("packages", fingerprint(["package-lock.json"], machine), "node_modules/.package-lock.json", installPackages);
await native();
await step(
  "wasm",
  fingerprint(["assembly", "scripts/build/wasm.mjs", "package-lock.json"]),
  "src/kernels/generated/simd.wasm.ts",
  buildWasm,
);
await step(
  "typescript",
  fingerprint(["src", "scripts/build/bundle.mjs", "tsconfig.json", "package.json", "package-lock.json"]),
  "dist/index.js",
  buildTypeScript,
);
await step("addon", fingerprint([ADDON], machine), existsSync(join(ROOT, ADDON)) ? "prebuilds" : null, layAddon);
