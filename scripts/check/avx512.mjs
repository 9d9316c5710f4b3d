// The AVX-512 target on a processor without AVX-512: compiled against SIMDe's plain C for its intrinsics (native/emulated), in an addon of its
// own in build/avx512. For comparing bytes, not times: node scripts/check/avx512.mjs [--seconds 60] fuzzes it against plain JavaScript.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cxxCompiler, headersPrefix } from "../environment.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const STAGE = join(ROOT, "build", "avx512");
const ADDON = join(STAGE, "build", "Release", "brownian.node");
const COMPILER = cxxCompiler ?? "g++";
const HEADERS = join(headersPrefix ?? "", "include", "node");
const FLAGS = [
  ..."-std=c++17 -O2 -fPIC -w -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-trapping-math".split(" "),
  ..."-DNAPI_VERSION=8 -DNAPI_CPP_EXCEPTIONS -DNODE_ADDON_API_CPP_EXCEPTIONS_ALL -DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS -DBROWNIAN_EMULATED_AVX512".split(
    " ",
  ),
];
/** Which flags targets have of their own. */
const TARGETS = {
  "targets/scalar.cc": [],
  "targets/avx2.cc": ["-mavx2", "-mpopcnt"],
  "targets/avx512.cc": ["-I", join(ROOT, "native", "emulated")],
};
const COMMON = readdirSync(join(ROOT, "native"), { recursive: true }).filter(
  (name) => name.endsWith(".cc") && !name.startsWith("targets"),
);
const SOURCES = { ...Object.fromEntries(COMMON.map((name) => [name, []])), ...TARGETS };

/** Why that cannot be done here; null where it can. */
export function missing() {
  if (process.platform !== "linux" || process.arch !== "x64") return "it is set up for Linux on x86-64 only";
  if (spawnSync(COMPILER, ["--version"]).status !== 0) return `there is no ${COMPILER}`;
  if (!existsSync(join(HEADERS, "node_api.h"))) return "this Node came without its headers";
  const simde = spawnSync(COMPILER, ["-M", "-x", "c++", "-"], { input: "#include <simde/x86/avx512.h>\n" });
  return simde.status === 0 ? null : "there is no SIMDe (Debian: apt-get install libsimde-dev)";
}

function compile(args) {
  const { status, stderr } = spawnSync(COMPILER, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`compiling for emulation failed: ${stderr}`);
}

function buildAddon() {
  const { include_dir: napi } = createRequire(import.meta.url)("node-addon-api");
  const listed = spawnSync("find", ["native", "-type", "f"], { cwd: ROOT, encoding: "utf8" }).stdout.trim().split("\n").sort();
  const hash = createHash("sha256").update(JSON.stringify([FLAGS, SOURCES]));
  for (const file of listed) hash.update(file).update(readFileSync(join(ROOT, file)));
  const fingerprint = hash.digest("hex");
  const stamp = join(STAGE, "fingerprint");
  if (existsSync(ADDON) && existsSync(stamp) && readFileSync(stamp, "utf8") === fingerprint) return;
  mkdirSync(dirname(ADDON), { recursive: true });
  const objects = Object.entries(SOURCES).map(([source, own]) => {
    const object = join(STAGE, `${source.replaceAll("/", "-")}.o`);
    const include = ["-I", HEADERS, "-I", join(ROOT, napi), "-I", napi];
    compile([...FLAGS, ...own, ...include, "-c", join(ROOT, "native", source), "-o", object]);
    return object;
  });
  compile(["-shared", "-o", ADDON, ...objects, "-lpthread", "-ldl"]);
  writeFileSync(stamp, fingerprint);
}

/** Makes what is needed and returns `run(script, args)`, which runs a script of scripts/check/ (on dist/) with that addon. Throws where something fails. */
export function prepare() {
  const reason = missing();
  if (reason !== null) throw new Error(reason);
  mkdirSync(STAGE, { recursive: true });
  buildAddon();
  // The addon is found from where the modules lie.
  for (const part of ["dist", "scripts", "package.json"]) {
    rmSync(join(STAGE, part), { recursive: true, force: true });
    cpSync(join(ROOT, part), join(STAGE, part), { recursive: true });
  }
  if (!existsSync(join(STAGE, "node_modules"))) symlinkSync(join(ROOT, "node_modules"), join(STAGE, "node_modules"));
  return (script, args, options = {}) =>
    spawnSync(process.execPath, [join(STAGE, "scripts", "check", script), ...args], {
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
