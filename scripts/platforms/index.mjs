// npm run trial:platforms [-- --quick]: packs the tarball and tries it as users would, in fresh folders: with each package manager, without network or
// compiler, without the addon, without WebAssembly, on other runtimes, systems and processors, in bundles, in a browser, from TypeScript.
// Everything must give the same bytes. Writes what it saw into docs/guides/platforms.md; what cannot be had on this machine is a row that says so.
// --quick compiles nothing (it takes the prebuilds that are there) and changes nothing.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "../build/pack.mjs";
import { prebuild, TARGETS, triedOrNot } from "../build/prebuild.mjs";
import { tryBundlers } from "./bundlers.mjs";
import { here } from "./hosts.mjs";
import { tryManagers } from "./managers.mjs";
import { tryNpm } from "./npm.mjs";
import { tryRuntimes } from "./runtimes.mjs";
import { bin, demand, NotHere, note, ROOT, rows, run } from "./trial.mjs";
import { tryTypeScript } from "./typescript.mjs";

const quick = process.argv.includes("--quick");
const prebuilds = join(ROOT, "build", "prebuilds");
const targets = here === "linux-x64" ? Object.keys(TARGETS) : [here];
for (const target of targets) {
  if (quick && existsSync(join(prebuilds, target, "brownian.node"))) continue;
  let built;
  await note(`prebuild ${target}`, () => {
    if (quick) throw new NotHere("there is none, and --quick compiles nothing");
    built = compiled(target);
    return `built here, needs ${built.needs}`;
  });
  if (built !== undefined) await note(`prebuild ${target}, every kernel`, () => triedOrNot(target));
}

/** The prebuild of a target. A compiler that this machine lacks is no failure of the package's. */
function compiled(target) {
  try {
    return prebuild(target, TARGETS[target] === undefined);
  } catch (error) {
    if (/ENOENT|: (command )?not found|make: .*: No such file or directory/.test(error.message))
      throw new NotHere(`no compiler for it here (${error.message.trim().split("\n")[0]})`);
    throw error;
  }
}

const tarball = pack();
await note("publint --strict", () => {
  const { status, text } = run(process.execPath, [bin("publint/src/cli.js"), tarball, "--strict"]);
  demand(status === 0 && text.includes("All good"), text);
  return "no remarks";
});
await note("arethetypeswrong (node16 and bundler resolution)", () => {
  const { status, text } = run(process.execPath, [bin("@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "node16"]);
  demand(status === 0, text);
  return "no problems";
});
const plain = await tryNpm(tarball, quick);
await tryManagers(tarball);
await tryRuntimes(plain);
await tryBundlers(plain);
await tryTypeScript(plain);

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;");
const table = ["| tried | seen |", "|---|---|", ...rows.map(({ what, seen }) => `| ${cell(what)} | ${cell(seen)} |`)].join("\n");
const page = join(ROOT, "docs", "guides", "platforms.md");
const marks = /(<!-- platforms -->\n)[\s\S]*(<!-- \/platforms -->)/;
const text = readFileSync(page, "utf8");
if (!marks.test(text)) throw new Error(`${page} has no place for the table`);
if (!quick)
  writeFileSync(
    page,
    text.replace(marks, (_, before, after) => `${before}${table}\n${after}`),
  );
const failures = rows.filter(({ failed }) => failed).length;
const untried = rows.filter(({ tried }) => !tried).length;
console.log(
  `${rows.length - failures - untried} fine, ${failures} failed, ${untried} not tried; ${readdirSync(prebuilds).join(", ")} in ${tarball}`,
);
process.exitCode = failures > 0 ? 1 : 0;
