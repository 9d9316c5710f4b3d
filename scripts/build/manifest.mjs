// The manifest of what is packed: package.json without what only a checkout needs. npm packs the one that lies in the folder, so that `prepack`
// (node scripts/build/manifest.mjs --publish) puts it there, and `postpack` (--restore) brings back the whole one.
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MANIFEST = join(ROOT, "package.json");
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
  mkdirSync(dirname(WHOLE), { recursive: true });
  copyFileSync(MANIFEST, WHOLE);
  writeFileSync(MANIFEST, `${JSON.stringify(publishedManifest(), null, 2)}\n`);
}

function restore() {
  if (!existsSync(WHOLE)) return;
  copyFileSync(WHOLE, MANIFEST);
  rmSync(WHOLE);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.argv.includes("--restore") ? restore() : publish();
