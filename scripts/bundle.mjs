// From dist/ as TypeScript leaves it to what the package's `exports` name: dist/esm and dist/cjs. One file loads in a
// quarter of the time that fifty take; CommonJS is for programs on Node 20, which cannot require() a module.
// The web entry stands alone: a page can take it as it is. Packages stay outside; dynamic imports stay dynamic.
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

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
const ENTRIES = { index: "index.js", llama: "llama/index.js", sampling: "sampling/index.js", learn: "learn/index.js" };

export async function bundle() {
  const { build } = await import("esbuild");
  const at = (file) => join(DIST, file);
  for (const folder of ["esm", "cjs"]) rmSync(at(folder), { recursive: true, force: true });

  // All that Node loads in one file, so that entries share classes and state, and for each entry a file that names what it exports.
  // Within the one file a name has its entry before it: a schedule and a layer may both be called linear.
  const names = Object.entries(ENTRIES).map(([name, file]) => `export * as ${name} from "./${file}";`);
  const all = (lines) => ({ stdin: { contents: lines.join("\n"), resolveDir: DIST } });
  const every = [];
  for (const [name, file] of Object.entries(ENTRIES)) {
    const exported = Object.keys(await import(pathToFileURL(at(file)).href));
    every.push(`export { ${exported.map((word) => `${word} as ${name}_${word}`).join(", ")} } from "./${file}";`);
    const own = `export { ${exported.map((word) => `${name}_${word} as ${word}`).join(", ")} } from "./brownian.js";\n`;
    mkdirSync(at("esm"), { recursive: true });
    writeFileSync(at(`esm/${name}.js`), own);
  }
  await build({ ...NODE, ...all(every), format: "esm", outfile: at("esm/brownian.js") });
  await build({ ...NODE, entryPoints: [at("cli/main.js")], format: "esm", outfile: at("esm/cli.js") });
  const web = { bundle: true, entryPoints: [at("index.web.js")], target: "es2022", logLevel: "error" };
  await build({ ...web, format: "esm", outfile: at("esm/web.js") });
  await build({ ...web, format: "cjs", platform: "neutral", outfile: at("cjs/web.js") });

  await build({
    ...NODE,
    ...all(names),
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
