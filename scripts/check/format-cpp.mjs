// node scripts/check/format-cpp.mjs [--write]: whether the addon's sources are formatted as .clang-format says, or formats them. Says so and does
// nothing where there is no clang-format of the version that they were formatted by: others break some lines elsewhere.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const VERSION = "18";

const sources = readdirSync(join(ROOT, "native"), { recursive: true })
  .filter((name) => /\.(h|cc)$/.test(name))
  .map((name) => join("native", name));

const { status, stdout } = spawnSync("clang-format", ["--version"], { encoding: "utf8" });
const found = status === 0 ? /version (\d+)/.exec(stdout)?.[1] : undefined;
if (found !== VERSION) {
  const what = found === undefined ? "there is no clang-format" : `clang-format is ${found}`;
  console.warn(`SKIPPED the format of native/: ${what}, not ${VERSION} (pip install "clang-format==${VERSION}.*")`);
} else {
  const how = process.argv.includes("--write") ? ["-i"] : ["--dry-run", "--Werror"];
  process.exitCode = spawnSync("clang-format", [...how, ...sources], { cwd: ROOT, stdio: "inherit" }).status ?? 1;
}
