// What compiling the addon needs besides its sources, for a package without a checkout around it: a binding.gyp that lies in native/ (npm compiles at
// once where it finds one at a package's root), and the headers of node-addon-api. Laid there while npm packs, or in a copy.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const NAPI = join(ROOT, "node_modules", "node-addon-api");

/** What is laid into native/. */
export const LAID = ["binding.gyp", "node-addon-api"];

/** Lays it into `native`, a folder of the sources or a copy of it. */
export function layNative(native) {
  for (const name of readdirSync(NAPI))
    if (/^(napi.*\.h|LICENSE.md)$/.test(name)) cpSync(join(NAPI, name), join(native, "node-addon-api", name));
  const gyp = readFileSync(join(ROOT, "binding.gyp"), "utf8");
  const moved = gyp.replaceAll('"native/', '"').replace(/"<!@\(node -p [^\n]*include_dir\\"\)"/, '"node-addon-api"');
  if (!moved.includes('["node-addon-api"]'))
    throw new Error("binding.gyp names the headers of node-addon-api in another way than before");
  writeFileSync(join(native, "binding.gyp"), moved);
}

/** Takes it away again. */
export function clearNative(native) {
  for (const name of LAID) rmSync(join(native, name), { recursive: true, force: true });
}
