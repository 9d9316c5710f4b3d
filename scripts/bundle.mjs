// From dist/ as TypeScript leaves it to what the package's `exports` name: dist/esm and dist/cjs. Three files load in a
// quarter of the time that fifty take; CommonJS is for programs on Node 20, which cannot require() a module.
// The web entry stands alone: a page can take it as it is. Packages stay outside; dynamic imports stay dynamic.
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, "dist");
const NODE = {
  bundle: true,
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "error",
};
/** The subpaths of the package that need Node's module system, by the name that a CommonJS program requires. */
const ENTRIES = { index: "index.js", llama: "llama/index.js", sampling: "sampling/index.js" };

/**
 * Takes Node's own modules at run time instead of importing them: an import makes every name of a module, and that of node:fs loads all of
 * Node's streams for it, which costs as much as the library itself. Bundlers that write CommonJS leave no import.meta.url.
 */
function withBuiltins(text) {
  const imported = /^import \{ ([^}]+) \} from "(node:[^"]+)";$/gm;
  if (!imported.test(text)) return text;
  const taken = text.replace(imported, (_, names, from) => `const { ${names.replaceAll(" as ", ": ")} } = builtin("${from}");`);
  if (/^import [^;]*"node:/m.test(taken)) throw new Error("esbuild writes imports of Node's modules in another way than before");
  return `import { createRequire as requireFrom } from "node:module";
const builtin = process.getBuiltinModule ?? requireFrom(import.meta.url || process.execPath);
${taken}`;
}

export async function bundle() {
  const { build } = await import("esbuild");
  const at = (file) => join(DIST, file);
  for (const folder of ["esm", "cjs"]) rmSync(at(folder), { recursive: true, force: true });

  // What entries share, classes and state among it, lies in files of its own, so that none loads what only another needs.
  const entryPoints = Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, at(file)]));
  const shared = { splitting: true, chunkNames: "shared-[hash]" };
  const { outputFiles } = await build({ ...NODE, ...shared, entryPoints, format: "esm", outdir: at("esm"), write: false });
  mkdirSync(at("esm"), { recursive: true });
  for (const { path, text } of outputFiles) writeFileSync(path, withBuiltins(text));
  await build({ ...NODE, entryPoints: [at("cli/main.js")], format: "esm", outfile: at("esm/cli.js") });
  const web = { bundle: true, entryPoints: [at("index.web.js")], target: "es2022", logLevel: "error" };
  await build({ ...web, format: "esm", outfile: at("esm/web.js") });
  await build({ ...web, format: "cjs", platform: "neutral", outfile: at("cjs/web.js") });

  const names = Object.entries(ENTRIES).map(([name, file]) => `export * as ${name} from "./${file}";`);
  await build({
    ...NODE,
    stdin: { contents: names.join("\n"), resolveDir: DIST },
    format: "cjs",
    outfile: at("cjs/brownian.js"),
    define: { "import.meta.url": "here" },
    banner: { js: 'const here = require("node:url").pathToFileURL(__filename).href;' },
  });
  for (const name of Object.keys(ENTRIES))
    writeFileSync(at(`cjs/${name}.js`), `module.exports = require("./brownian.js").${name};\n`);
  // The same declarations, which TypeScript takes for CommonJS here.
  writeFileSync(at("cjs/package.json"), '{ "type": "commonjs" }\n');
  for (const file of readdirSync(DIST, { recursive: true })) {
    if (!file.endsWith(".d.ts") || /^(cjs|esm|cli)\b/.test(file) || file.includes("generated")) continue;
    mkdirSync(dirname(at(`cjs/types/${file}`)), { recursive: true });
    cpSync(at(file), at(`cjs/types/${file}`));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
