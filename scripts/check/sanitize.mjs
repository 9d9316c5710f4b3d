// npm run trial:sanitize: builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer in a copy of the project and runs the tests
// of the kernels on it, or those that are named (`-- kernels/native-file files/live`). Linux with GCC or Clang only.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gypHeaders, withVariables } from "../environment.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PARTS = ["src", "test", "native", "models", "package.json", "tsconfig.json", "vitest.config.ts", "binding.gyp"];
/** What calls the addon, in any way that there is. */
const ALL = [
  "noise/noise",
  "kernels/equality",
  "kernels/shapes",
  "kernels/addon",
  "kernels/native-file",
  "laws",
  "lattice/perturb",
].concat(["files/live/redraw", "house/frozen.test", "house/frozen-motion"]);
const named = process.argv.slice(2);
const TESTS = (named.length > 0 ? named : ALL).map((name) => `test/${name}`);
const FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined";

if (process.platform !== "linux") {
  console.error("The sanitizers are set up for Linux only.");
  process.exit(1);
}
const copy = mkdtempSync(join(tmpdir(), "brownian-sanitize-"));
process.on("exit", () => rmSync(copy, { recursive: true, force: true }));

function run(command, args, env) {
  const { status } = spawnSync(command, args, { cwd: copy, stdio: "inherit", env: withVariables(env) });
  if (status !== 0) process.exit(status ?? 1);
}

for (const part of PARTS) cpSync(join(ROOT, part), join(copy, part), { recursive: true });
symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
const gyp = join(copy, "node_modules", "node-gyp", "bin", "node-gyp.js");
run(process.execPath, [gyp, "rebuild", "--silent", ...gypHeaders], {
  CXXFLAGS: `${FLAGS} -g1 -fno-omit-frame-pointer`,
  LDFLAGS: FLAGS,
});

// Node itself is not instrumented: the runtime must be there before anything else, and what Node never frees is no concern of ours.
const library = (name) => spawnSync("gcc", [`-print-file-name=${name}`], { encoding: "utf8" }).stdout.trim();
run(process.execPath, [join(copy, "node_modules", "vitest", "vitest.mjs"), "run", "--testTimeout=300000", ...TESTS], {
  LD_PRELOAD: `${library("libasan.so")} ${library("libubsan.so")}`,
  ASAN_OPTIONS: "detect_leaks=0",
  UBSAN_OPTIONS: "print_stacktrace=1",
});
