// The addons that the package brings: node scripts/build/prebuild.mjs [TARGET ...] [--host]. Each is built in build/prebuild/<target>, laid into
// build/prebuilds/<target>/brownian.node, checked (what it asks of the system, no fused multiply-add), and run where this machine has a way
// (scripts/platforms/hosts.mjs): every kernel must give the bytes of plain JavaScript. --host builds for the machine it runs on with its own tools.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { disassemble } from "../check/disassembly.mjs";
import { gypHeaders, headersPrefix, withVariables } from "../environment.mjs";
import { here, host } from "../platforms/hosts.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Of Node's own binaries for Linux: v20 needs glibc 2.28. */
export const FLOOR = "2.28";
/** What native/linking/glibc_floor.c stands in for. */
const WRAPPED = [
  "pthread_create",
  "pthread_detach",
  "pthread_join",
  "pthread_once",
  "pthread_attr_setstacksize",
  "__pthread_key_create",
  "fstat",
  "fstat64",
  "dlopen",
  "dlsym",
  "dlerror",
];
const MUSL = "/usr/lib/x86_64-linux-musl";
/** Libraries of Windows 10 and later that every machine has. */
const WINDOWS = /^(kernel32|msvcrt|node)\.(dll|exe)$/i;

/** What can be built on Linux with Debian's compilers. `check` throws, or returns what the addon needs, in a few words. */
export const TARGETS = {
  "linux-x64": { arch: "x64", prefix: "", build: buildForGlibc, check: checkGlibc },
  "linux-arm64": { arch: "arm64", prefix: "aarch64-linux-gnu-", build: buildForGlibc, check: checkGlibc },
  "linux-x64-musl": { arch: "x64", prefix: "", build: buildForMusl, check: checkMusl },
  "win32-x64": { arch: "x64", prefix: "x86_64-w64-mingw32-", build: buildForWindows, check: checkWindows },
};

const OWN = {
  arch: process.arch,
  prefix: "",
  build: buildForThisMachine,
  check: (addon, tools) =>
    here.startsWith("linux") && !here.endsWith("musl") ? checkGlibc(addon, tools) : "what its system brings",
};

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
  return stdout;
}

/** Builds and checks one, with the tools for that target or with this machine's `own`; returns its path and what it needs. */
export function prebuild(target, own = false) {
  const stage = join(ROOT, "build", "prebuild", target);
  rmSync(stage, { recursive: true, force: true });
  for (const part of ["native", "binding.gyp", "package.json"]) cpSync(join(ROOT, part), join(stage, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(stage, "node_modules"), "junction");
  const { build, check, ...tools } = own ? OWN : TARGETS[target];
  const built = build(stage, tools);
  const addon = join(ROOT, "build", "prebuilds", target, "brownian.node");
  mkdirSync(dirname(addon), { recursive: true });
  rmSync(addon, { force: true }); // a process may have it mapped
  cpSync(built, addon);
  return { addon, needs: check(addon, tools) };
}

// --- by node-gyp

function gyp(stage, arch, env) {
  const script = join(ROOT, "node_modules", "node-gyp", "bin", "node-gyp.js");
  run(process.execPath, [script, "rebuild", `--arch=${arch}`, ...gypHeaders], { cwd: stage, env: withVariables(env) });
  return join(stage, "build", "Release", "brownian.node");
}

function buildForThisMachine(stage, { arch }) {
  // Not every system has the C++ library of the one that this is built on.
  const flags = ["-static-libstdc++", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all"];
  return gyp(stage, arch, process.platform === "linux" ? { LDFLAGS: flags.join(" ") } : {});
}

/** libstdc++ within, and no symbol of glibc younger than FLOOR. */
function buildForGlibc(stage, { arch, prefix }) {
  const floor = join(stage, "glibc_floor.o");
  const source = join(stage, "native/linking/glibc_floor.c");
  run(`${prefix}gcc`, ["-O2", "-fPIC", "-fvisibility=hidden", "-D_GNU_SOURCE", "-c", source, "-o", floor]);
  const wrap = WRAPPED.map((name) => `-Wl,--wrap=${name}`);
  const flags = [floor, ...wrap, "-static-libstdc++", "-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all"];
  const [CC, CXX] = [`${prefix}gcc`, `${prefix}g++`];
  return gyp(stage, arch, { CC, CXX, LINK: CXX, AR: `${prefix}ar`, LDFLAGS: flags.join(" ") });
}

// --- by the compiler alone, with the flags of binding.gyp

/** The objects of binding.gyp's targets for this processor. gyp's files are literals of Python, which node-gyp needs anyway. */
function objects(stage, compiler, arch, flags) {
  const literal = "import ast, json, sys; print(json.dumps(ast.literal_eval(open(sys.argv[1]).read())))";
  const { variables, targets, conditions } = JSON.parse(run("python3", ["-c", literal, join(stage, "binding.gyp")]));
  if (headersPrefix === undefined)
    throw new Error("this Node came without headers: set npm_config_nodedir to a folder that has include/node");
  const include = [`-I${join(headersPrefix, "include", "node")}`, `-I${join(ROOT, "node_modules", "node-addon-api")}`];
  const perArch = conditions.filter(([when]) => when === `target_arch=='${arch}'`).flatMap(([, { targets }]) => targets);
  return [...targets, ...perArch].flatMap(({ sources, defines = [], cflags_cc = [] }) =>
    sources.map((source) => {
      const object = join(stage, `${source.replaceAll("/", "_")}.o`);
      const own = [...defines.map((name) => `-D${name}`), ...cflags_cc];
      run(compiler, [...variables.strict_float, ...own, ...include, ...flags, "-c", join(stage, source), "-o", object]);
      return object;
    }),
  );
}

/**
 * Debian has no C++ library for musl: the one for glibc is put within, and the whole linked to musl's C library. That this asks for nothing
 * which musl lacks is checked below; the few structures that both sides know (stat, mutexes, threads' names) are the kernel's or of one size.
 */
function buildForMusl(stage, { arch, prefix }) {
  const stand = join(stage, "musl.o");
  run("musl-gcc", ["-O2", "-fPIC", "-c", join(stage, "native/linking/musl.c"), "-o", stand]);
  const compiled = objects(stage, `${prefix}g++`, arch, ["-fPIC", "-ffunction-sections", "-fdata-sections"]);
  const file = (name) => run("g++", [`-print-file-name=${name}`]).trim();
  const [begin, end, cxx, gcc, unwind] = ["crtbeginS.o", "crtendS.o", "libstdc++.a", "libgcc.a", "libgcc_s.so.1"].map(file);
  const addon = join(stage, "brownian.node");
  const lay = ["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,-soname,brownian.node"];
  run(`${prefix}g++`, [
    "-shared",
    "-nostdlib",
    ...lay,
    "-o",
    addon,
    begin,
    ...compiled,
    stand,
    cxx,
    gcc,
    unwind,
    `-L${MUSL}`,
    "-l:libc.so",
    end,
  ]);
  return addon;
}

/** Everything within but the system's own libraries; N-API by delayed loading, from whatever program loads the addon. */
function buildForWindows(stage, { arch, prefix }) {
  const cxx = `${prefix}g++-posix`; // the other flavour has no threads in C++
  // Windows aligns stacks to 16 bytes, which GCC does not make up for (GCC bug 54412): no move may need more.
  const compiled = objects(stage, cxx, arch, ["-Wa,-muse-unaligned-vector-move", "-ffunction-sections", "-fdata-sections"]);
  const hook = join(stage, "windows_host.o");
  run(`${prefix}gcc-posix`, ["-O2", "-Wall", "-Wextra", "-c", join(stage, "native/linking/windows_host.c"), "-o", hook]);
  const symbols = run(`${prefix}nm`, ["--undefined-only", ...compiled]).matchAll(/ U (?:__imp_)?((?:napi|node_api)_\w+)/g);
  const names = [...new Set([...symbols].map(([, name]) => name))].sort();
  writeFileSync(join(stage, "node.def"), `LIBRARY node.exe\nEXPORTS\n${names.join("\n")}\n`);
  const delayed = join(stage, "libnode.a");
  run(`${prefix}dlltool`, ["--input-def", join(stage, "node.def"), "--output-delaylib", delayed], { cwd: stage });
  const addon = join(stage, "brownian.node");
  const lay = ["-static", "-Wl,--gc-sections", "-Wl,--strip-all", "-Wl,--no-insert-timestamp"];
  run(cxx, ["-shared", ...lay, "-o", addon, ...compiled, hook, delayed]);
  return addon;
}

// --- what an addon needs

/** The newest glibc of which the addon needs a symbol. @throws when that is younger than FLOOR, or when it needs another C++ library */
function checkGlibc(addon, { prefix }) {
  if (needed(addon, prefix).some((library) => library.startsWith("libstdc++"))) throw new Error(`${addon} needs libstdc++`);
  const number = (version) => version.split(".").reduce((sum, part, i) => sum + Number(part) / 1000 ** i, 0);
  const lines = run(`${prefix}objdump`, ["-T", addon]).split("\n");
  const versioned = lines.flatMap((line) => {
    const version = /\(?GLIBC_([\d.]+)\)?/.exec(line)?.[1];
    return version === undefined ? [] : [{ line, version }];
  });
  if (versioned.length === 0) throw new Error(`${addon}: objdump found no symbols of glibc`);
  const young = versioned.filter(({ version }) => number(version) > number(FLOOR));
  if (young.length > 0) throw new Error(`${addon} needs a glibc after ${FLOOR}:\n${young.map(({ line }) => line).join("\n")}`);
  checkInstructions(addon, prefix);
  return `glibc ${versioned.map(({ version }) => version).sort((a, b) => number(b) - number(a))[0]}`;
}

const needed = (addon, prefix) =>
  [...run(`${prefix}objdump`, ["-p", addon]).matchAll(/(?:NEEDED|DLL Name:)\s+(\S+)/g)].map(([, library]) => library);

/** @throws when a symbol is neither musl's nor libgcc_s's nor the host's */
function checkMusl(addon, { prefix }) {
  const libraries = needed(addon, prefix);
  const strange = libraries.filter((name) => !["libc.so", "libgcc_s.so.1"].includes(name));
  if (strange.length > 0 || libraries.length !== 2) throw new Error(`${addon} needs ${libraries.join(", ")}`);
  const names = (...args) =>
    run(`${prefix}nm`, ["-D", ...args])
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
  const unwind = run("g++", ["-print-file-name=libgcc_s.so.1"]).trim();
  const there = new Set(
    [join(MUSL, "libc.so"), unwind].flatMap((library) =>
      names("--defined-only", library).map(([, , name]) => name?.replace(/@.*/, "")),
    ),
  );
  const missing = names("--undefined-only", addon)
    .filter(([kind]) => kind === "U")
    .map(([, name]) => name.replace(/@.*/, ""))
    .filter((name) => !there.has(name) && !/^(napi|node_api)_/.test(name));
  if (missing.length > 0) throw new Error(`${addon} needs what musl lacks: ${missing.join(", ")}`);
  checkInstructions(addon, prefix);
  return "musl, libgcc_s";
}

/** @throws when it needs a library that Windows does not bring, or Node by name */
function checkWindows(addon, { prefix }) {
  const libraries = [...new Set(needed(addon, prefix).map((name) => name.toLowerCase()))];
  const strange = libraries.filter((name) => !WINDOWS.test(name));
  if (strange.length > 0) throw new Error(`${addon} needs ${strange.join(", ")}`);
  const { aligned } = checkInstructions(addon, prefix);
  if (aligned.length > 0) throw new Error(`${addon} has moves that need aligned memory: ${aligned.slice(0, 3).join("; ")}`);
  return libraries.filter((name) => name !== "node.exe").join(", ");
}

/** @throws when it holds a fused multiply-add */
function checkInstructions(addon, prefix) {
  const seen = disassemble(`${prefix}objdump`, addon);
  if (seen.count < 10_000) throw new Error(`${addon}: objdump found ${seen.count} instructions`);
  if (seen.fused.length > 0) throw new Error(`${addon} has fused multiply-adds: ${seen.fused.slice(0, 3).join("; ")}`);
  return seen;
}

// --- running it

/** Runs every kernel of the addon on every instruction set that its host has here; returns what ran. @throws when bytes differ from JavaScript's */
export function tried(target) {
  const { what, command, env } = host(target);
  const stage = join(ROOT, "build", "prebuild", target, "tried");
  for (const part of ["dist", "scripts", "package.json"]) cpSync(join(ROOT, part), join(stage, part), { recursive: true });
  const addon = join("prebuilds", target, "brownian.node"); // where the library itself must find it
  cpSync(join(ROOT, "build", addon), join(stage, addon));
  const out = ([program, ...args], ...more) =>
    run(program, [...args, ...more], { cwd: stage, env: withVariables(env) }).replaceAll("\r", "");
  const script = 'import("./dist/kernels/native.js").then((m) => console.log(JSON.stringify(m.nativeTargets())))';
  const isas = JSON.parse(out(command, "-e", script)).filter(({ runs }) => runs);
  const expected = out([process.execPath], "scripts/check/hashes.mjs", "js", "scalar", "50");
  for (const { name } of isas)
    if (out(command, "scripts/check/hashes.mjs", "native", name, "50") !== expected)
      throw new Error(`${target}, ${name}: not the bytes of JavaScript`);
  return `${what}: ${isas.map(({ name }) => name).join(", ")} give the bytes of JavaScript`;
}

/** Like {@link tried}, or why it was not. Other failures are thrown. */
export function triedOrNot(target) {
  try {
    host(target);
  } catch (error) {
    return `built, not run: ${error.message.split("\n")[0]}`;
  }
  return tried(target);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const asked = process.argv.slice(2);
  const targets = asked.includes("--host") ? [here] : asked.length > 0 ? asked : Object.keys(TARGETS);
  for (const target of targets) {
    if (!asked.includes("--host") && TARGETS[target] === undefined)
      throw new Error(`${target} is built on such a machine only (--host). Here: ${Object.keys(TARGETS).join(", ")}`);
    const { addon, needs } = prebuild(target, asked.includes("--host"));
    console.log(`${target}: ${addon}\n  needs ${needs}\n  ${triedOrNot(target)}`);
  }
}
