// The tarball: node scripts/build/pack.mjs [--release]. Lays out in build/package what is published, and packs it into build/. The addons lie in
// prebuilds/; binding.gyp lies in native/, since npm compiles at once where it finds one at a package's root; there is no lifecycle script.
// --release refuses when an addon is missing that a published package has.
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { npm } from "../environment.mjs";
import { publishedManifest } from "./manifest.mjs";
import { layNative } from "./native-sources.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const PREBUILDS = join(ROOT, "build", "prebuilds");
const STAGE = join(ROOT, "build", "package");

/** The addons of a published package. */
export const RELEASED = [
  "darwin-arm64",
  "darwin-x64",
  "linux-arm64",
  "linux-arm64-musl",
  "linux-x64",
  "linux-x64-musl",
  "win32-arm64",
  "win32-x64",
];

/** Those of them that a folder of prebuilds lacks. */
export const missing = (prebuilds = PREBUILDS) =>
  RELEASED.filter((target) => !existsSync(join(prebuilds, target, "brownian.node")));

/** What has to be there before anything can be packed, and what makes it. */
const NEEDED = [
  ["node_modules/node-addon-api", "npm run setup"],
  ["dist/esm/index.js", "npm run setup"],
  ["build/prebuilds", "npm run prebuild-native (or, with the addon of this machine alone: npm pack)"],
];

/** What of it a checkout lacks: a line each. */
export const lacking = (root = ROOT) =>
  NEEDED.filter(([path]) => !existsSync(join(root, path))).map(([path, way]) => `${path} is missing: ${way}`);

/** The path of dist/ is published: bundles, and declarations outside the command line. */
function published(path) {
  const name = relative(join(ROOT, "dist"), path);
  if (!/\.\w+$/.test(name)) return !/^cli|generated/.test(name); // a folder
  return /^(esm|cjs)\b/.test(name) || name.endsWith(".d.ts");
}

/** Makes the tarball and returns its path. `targets` are the folders of build/prebuilds that go into it. */
export function pack(targets = readdirSync(PREBUILDS)) {
  rmSync(STAGE, { recursive: true, force: true });
  mkdirSync(STAGE, { recursive: true });
  cpSync(join(ROOT, "dist"), join(STAGE, "dist"), { recursive: true, filter: published });
  for (const target of targets) cpSync(join(PREBUILDS, target), join(STAGE, "prebuilds", target), { recursive: true });
  laySources();
  const manifest = publishedManifest();
  for (const name of manifest.files)
    if (!existsSync(join(STAGE, name))) cpSync(join(ROOT, name), join(STAGE, name), { recursive: true });
  for (const name of ["README.md", "LICENSE"]) cpSync(join(ROOT, name), join(STAGE, name));
  // To import a file does nothing but define (test/house/definitions.test.ts): bundlers may leave out what is not used.
  const changed = { bin: { brownian: "dist/esm/cli.js" }, sideEffects: false };
  writeFileSync(join(STAGE, "package.json"), `${JSON.stringify({ ...manifest, ...changed }, null, 2)}\n`);
  const result = npm(["pack", "--silent", "--pack-destination", ".."], { cwd: STAGE });
  if (result.status !== 0) throw new Error(`npm pack failed: ${result.stderr}`);
  return join(ROOT, "build", result.stdout.trim().split("\n").at(-1));
}

/** The sources with all that compiling them needs, so that `brownian build-native` works in the package alone. */
function laySources() {
  const native = join(STAGE, "native");
  cpSync(join(ROOT, "native"), native, { recursive: true, filter: (path) => !path.endsWith("linking") });
  layNative(native);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (lacking().length > 0) {
    console.error(`not packed:\n  ${lacking().join("\n  ")}`);
    process.exitCode = 1;
  } else if (process.argv.includes("--release") && missing().length > 0) {
    console.error(`not packed: build/prebuilds has no addon for ${missing().join(", ")}`);
    process.exitCode = 1;
  } else console.log(pack());
}
