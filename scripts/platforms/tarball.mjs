// node scripts/platforms/tarball.mjs TARBALL [BYTES]: tries a tarball (or the one in a folder) with npm and Node on whatever machine this is, where
// the addon must run. Prints "bytes=" and the hash of what was computed; where BYTES is given it must be that one. Needs no packages.
import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { tryNpm } from "./npm.mjs";
import { demand, note, rows } from "./trial.mjs";

const [given, expected] = process.argv.slice(2);
if (given === undefined) throw new Error("which tarball?");
const tarball = statSync(given).isDirectory()
  ? join(
      given,
      readdirSync(given).find((name) => name.endsWith(".tgz")),
    )
  : given;
await tryNpm(resolve(tarball), true);
const bytes = /bytes (\w+)/.exec(rows.find(({ seen }) => seen.startsWith("native"))?.seen ?? "")?.[1];
await note("bytes as elsewhere", () => {
  demand(bytes !== undefined, "the addon runs nowhere here");
  demand(!expected || bytes === expected, `${bytes}, not ${expected}`);
  return bytes;
});
console.log(`bytes=${bytes}`);
process.exitCode = rows.some(({ failed }) => failed) ? 1 : 0;
