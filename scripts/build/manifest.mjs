// The manifest of what is packed: package.json without what only a checkout needs. npm packs the one that lies in the folder, so that `prepack`
// (node scripts/build/manifest.mjs --publish) puts it there, with what compiling the addon needs, and `postpack` (--restore) brings back the whole one.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { clearNative, layNative } from "./native-sources.mjs";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MANIFEST = join(ROOT, "package.json");
const NATIVE = join(ROOT, "native");
const WHOLE = join(ROOT, "build", "package.whole.json");

/** What only a checkout needs; bundles are made, so that nothing is left to take another's place in a browser. */
const UNPUBLISHED = ["private", "browser", "scripts", "devDependencies", "overrides"];

/** The manifest without that. */
export function publishedManifest(path = MANIFEST) {
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  for (const name of UNPUBLISHED) delete manifest[name];
  return manifest;
}

function publish() {
  restore(); // where npm ended before it came to that
  layNative(NATIVE);
  mkdirSync(dirname(WHOLE), { recursive: true });
  copyFileSync(MANIFEST, WHOLE);
  writeFileSync(MANIFEST, `${JSON.stringify(publishedManifest(), null, 2)}\n`);
}

function restore() {
  clearNative(NATIVE);
  if (!existsSync(WHOLE)) return;
  copyFileSync(WHOLE, MANIFEST);
  rmSync(WHOLE);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.argv.includes("--restore") ? restore() : publish();
