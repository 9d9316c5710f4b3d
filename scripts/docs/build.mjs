// npm run docs: the API reference, in build/api. Fails on a warning, such as a public name without a sentence. What builds it has a package.json
// of its own, installed here at the first use: typedoc reads TypeScript up to 6, and the project is on 7.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const HERE = import.meta.dirname;
const run = (command, args, options) => spawnSync(command, args, { cwd: HERE, stdio: "inherit", ...options }).status ?? 1;

const typedoc = join(HERE, "node_modules", "typedoc", "bin", "typedoc");
if (!existsSync(typedoc)) {
  const status = run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { shell: process.platform === "win32" });
  if (status !== 0) process.exit(status);
}
process.exit(run(process.execPath, [typedoc, "--options", "typedoc.json"]));
