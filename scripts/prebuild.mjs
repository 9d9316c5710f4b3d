// The addons that the package brings: node scripts/prebuild.mjs [linux-x64] [linux-arm64] [--host]. Each is built in build/prebuild/<target>
// and laid into build/prebuilds/<target>/brownian.node. For Linux: libstdc++ within, and no symbol of glibc younger than FLOOR, which is
// checked. --host builds for the machine it runs on, as its compiler links: for macOS and Windows.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** Of Node's own binaries for Linux: v20 needs glibc 2.28. */
export const FLOOR = "2.28";
const CROSS = "aarch64-linux-gnu-";
const TARGETS = { "linux-x64": { arch: "x64", prefix: "" }, "linux-arm64": { arch: "arm64", prefix: CROSS } };
/** What native/glibc_floor.c stands in for. */
const WRAPPED = ["pthread_create", "pthread_detach", "pthread_join", "pthread_once", "__pthread_key_create", "fstat", "fstat64"];

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  return stdout;
}

/** Headers that came with this Node, so that node-gyp need not download any. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, "include", "node", "node_api.h")) ? [`--nodedir=${prefix}`] : [];
}

/** Builds for a target; returns the addon's path and, of Linux, the newest glibc that it needs. */
export function prebuild(target) {
  const { arch, prefix } = TARGETS[target] ?? { arch: process.arch, prefix: null };
  const stage = join(ROOT, "build", "prebuild", target);
  for (const part of ["native", "binding.gyp", "package.json"]) cpSync(join(ROOT, part), join(stage, part), { recursive: true });
  if (!existsSync(join(stage, "node_modules"))) symlinkSync(join(ROOT, "node_modules"), join(stage, "node_modules"));
  const env = { ...process.env };
  if (prefix !== null) {
    const floor = join(stage, "glibc_floor.o");
    run(`${prefix}gcc`, ["-O2", "-fPIC", "-fvisibility=hidden", "-D_GNU_SOURCE", "-c", "native/glibc_floor.c", "-o", floor], {
      cwd: stage,
    });
    const wrap = WRAPPED.map((name) => `-Wl,--wrap=${name}`);
    const flags = [floor, ...wrap, "-static-libstdc++", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all"];
    Object.assign(env, {
      CC: `${prefix}gcc`,
      CXX: `${prefix}g++`,
      LINK: `${prefix}g++`,
      AR: `${prefix}ar`,
      LDFLAGS: flags.join(" "),
    });
  }
  const gyp = join(ROOT, "node_modules", "node-gyp", "bin", "node-gyp.js");
  run(process.execPath, [gyp, "rebuild", `--arch=${arch}`, ...headers()], { cwd: stage, env });
  const addon = join(ROOT, "build", "prebuilds", target, "brownian.node");
  mkdirSync(dirname(addon), { recursive: true });
  rmSync(addon, { force: true }); // a process may have it mapped
  cpSync(join(stage, "build", "Release", "brownian.node"), addon);
  return { addon, glibc: prefix === null ? null : checkedFloor(addon, prefix) };
}

/** The newest glibc of which the addon needs a symbol. @throws when that is younger than FLOOR, or when it needs another C++ library */
function checkedFloor(addon, prefix) {
  const symbols = run(`${prefix}objdump`, ["-T", addon]);
  const needed = run(`${prefix}objdump`, ["-p", addon]).match(/NEEDED.*/g) ?? [];
  if (needed.some((line) => line.includes("libstdc++"))) throw new Error(`${addon} needs libstdc++`);
  const number = (version) => version.split(".").reduce((sum, part, i) => sum + Number(part) / 1000 ** i, 0);
  const lines = symbols.split("\n").flatMap((line) => {
    const version = /\(?GLIBC_([\d.]+)\)?/.exec(line)?.[1];
    return version === undefined ? [] : [{ line, version }];
  });
  if (lines.length === 0) throw new Error(`${addon}: objdump found no symbols of glibc`);
  const young = lines.filter(({ version }) => number(version) > number(FLOOR));
  if (young.length > 0) throw new Error(`${addon} needs a glibc after ${FLOOR}:\n${young.map(({ line }) => line).join("\n")}`);
  return lines.map(({ version }) => version).sort((a, b) => number(b) - number(a))[0];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const targets = asked.includes("--host")
    ? [`${process.platform}-${process.arch}`]
    : asked.length > 0
      ? asked
      : Object.keys(TARGETS);
  for (const target of targets) {
    const { addon, glibc } = prebuild(target);
    console.log(`${target}: ${addon}${glibc === null ? "" : `, needs glibc ${glibc} (floor ${FLOOR})`}`);
  }
}
