// brownian build-native: compiles the addon here, for machines that the package has none for. Never run by installing: only when asked.

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import { nativeTargets } from "../kernels/native.js";
import type { Invocation } from "./command.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
/** In the package the sources lie in native/ with all they need; in a checkout binding.gyp lies at its root. */
const sources = () => [join(ROOT, "native"), ROOT].find((folder) => existsSync(join(folder, "binding.gyp")));
const ADDON = join("build", "Release", "brownian.node");

export function buildNativeCommand(invocation: Invocation): Command {
  return new Command("build-native")
    .description("compile the native addon for this machine (needs a C++17 compiler, Python 3 and node-gyp)")
    .action(() => buildNative(invocation));
}

async function buildNative({ signal }: Invocation): Promise<void> {
  const from = sources();
  if (from === undefined)
    throw new BrownianError(
      "file-not-found",
      `${ROOT} has no binding.gyp, without which its addon cannot be compiled: packages have one (npm pack), and clones of the repository.`,
    );
  const [command, ...args] = [...nodeGyp(), "rebuild", "--jobs=max", ...headers()] as [string, ...string[]];
  checkTools();
  const status = await new Promise<number | null>((resolve, reject) => {
    // Compilers are told on stderr: stdout is for results.
    const child = spawn(command, args, { cwd: from, stdio: ["ignore", 2, 2], signal });
    child.on("error", reject);
    child.on("exit", resolve);
  });
  if (status !== 0) {
    throw new BrownianError(
      "backend-unavailable",
      `The addon did not compile (node-gyp ended with ${status}; its messages are above). Without it, WebAssembly gives the same results, more slowly.`,
    );
  }
  const built = join(from, ADDON);
  const addon = join(ROOT, ADDON);
  if (built !== addon) {
    await mkdir(dirname(addon), { recursive: true });
    await cp(built, `${addon}.new`);
    await rename(`${addon}.new`, addon); // whole or not at all: a process may have the old one mapped
    await rm(join(from, "build"), { recursive: true });
  }
  const best = nativeTargets().find((target) => target.runs);
  process.stdout.write(`${addon}: ${best?.name ?? "nothing of it runs here"}\n`);
}

/**
 * How to run node-gyp: the one beside this package, else npm's, else the one on the PATH. Never that of the folder that the command is typed in,
 * which may be anybody's.
 */
function nodeGyp(): string[] {
  const script = join("node-gyp", "bin", "node-gyp.js");
  const prefix = dirname(dirname(process.execPath));
  const npm = environment.npm;
  const places = [
    resolved(import.meta.url, "node-gyp/bin/node-gyp.js"),
    ...(npm === undefined ? [] : [join(dirname(dirname(npm)), "node_modules", script)]),
    join(prefix, "lib", "node_modules", "npm", "node_modules", script),
    join(prefix, "node_modules", "npm", "node_modules", script), // Windows
  ];
  const found = places.find((place) => place !== undefined && existsSync(place));
  if (found !== undefined) return [process.execPath, found];
  if (runs("node-gyp")) return ["node-gyp"];
  throw new BrownianError("usage", "There is no node-gyp, which compiles addons: npm install node-gyp, then try again.");
}

function resolved(from: string, what: string): string | undefined {
  try {
    return createRequire(from).resolve(what);
  } catch {
    return undefined;
  }
}

/** @throws BrownianError naming what is missing. On Windows node-gyp itself looks for Visual Studio. */
function checkTools(): void {
  if (process.platform === "win32") return;
  const compilers = [environment.compiler?.split(" ")[0], "c++", "g++", "clang++"].filter(
    (name) => name !== undefined && name !== "",
  );
  const missing: string[] = [];
  if (!compilers.some((name) => runs(name as string))) missing.push("a C++ compiler");
  if (!runs("make") && !runs("gmake")) missing.push("make");
  if (!runs("python3") && !runs("python")) missing.push("Python 3");
  if (missing.length === 0) return;
  const how =
    process.platform === "darwin"
      ? "xcode-select --install"
      : "Debian, Ubuntu: apt-get install g++ make python3; Alpine: apk add g++ make python3";
  throw new BrownianError("usage", `To compile the addon, this machine lacks ${missing.join(", ")} (${how}).`);
}

const runs = (command: string): boolean => spawnSync(command, ["--version"]).status === 0;

/** Headers that came with this Node, so that node-gyp need not download any. */
function headers(): string[] {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, "include", "node", "node_api.h")) ? [`--nodedir=${prefix}`] : [];
}
