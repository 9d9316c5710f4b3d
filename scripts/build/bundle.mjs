// From dist/ as TypeScript leaves it to what the package's `exports` name: dist/esm and dist/cjs. One file loads in a
// quarter of the time that fifty take; CommonJS is for programs on Node 20, which cannot require() a module.
// The web entry stands alone: a page can take it as it is. Packages stay outside; dynamic imports stay dynamic.
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DIST = join(ROOT, "dist");
const at = (file) => join(DIST, file);
const load = (file) => import(pathToFileURL(at(file)).href);
const NODE = {
  bundle: true,
  platform: "node",
  target: "node20",
  packages: "external",
  logLevel: "error",
};
/** What `import "brownian"` loads: one file. */
const MAIN = "index.js";
/** Other subpaths. They take what lies in the main entry from there, so that classes and state are shared, and load the rest themselves. */
const BESIDE = { llama: "llama/index.js", learn: "learn/index.js" };
/** Subpaths that load nothing else, and so serve pages too. */
const ALONE = { sampling: "sampling/index.js" };

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

/**
 * The entries as ES modules, by name. What others need of the main one that it does not export to all, it exports under a name that begins
 * with $; declarations do not have these.
 */
async function entries(build) {
  const options = { ...NODE, format: "esm", write: false, metafile: true };
  const { metafile } = await build({ ...options, entryPoints: [at(MAIN)] });
  const inMain = new Set(Object.keys(metafile.inputs).map((file) => resolve(file)));
  const fromMain = {
    name: "what lies in the main entry",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        const file = resolve(resolveDir, path);
        return kind === "import-statement" && inMain.has(file)
          ? { path: `main:${relative(DIST, file).replaceAll(sep, "/")}`, external: true }
          : undefined;
      });
    },
  };
  const texts = {};
  const main = await load(MAIN);
  const hidden = new Map(); // such a name: what it exports
  for (const [name, file] of Object.entries(BESIDE)) {
    const { outputFiles } = await build({ ...options, entryPoints: [at(file)], plugins: [fromMain] });
    const [{ text }] = outputFiles;
    const origins = new Map();
    for (const [, origin] of text.matchAll(/"main:([^"]+)"/g)) origins.set(origin, await load(origin));
    texts[name] = text.replace(/^import (?:\{ ([^}]+) \} from )?"main:([^"]+)";$/gm, (_, names, origin) => {
      if (names === undefined) return 'import "./index.js";';
      const taken = names.split(",").map((each) => {
        const [theirs, ours = theirs] = each.trim().split(" as ");
        if (main[theirs] === origins.get(origin)[theirs]) return `${theirs} as ${ours}`;
        const name = `$${origin.replace(/\.js$/, "").replace(/\W+/g, "_")}_${theirs}`;
        hidden.set(name, `export { ${theirs} as ${name} } from "./${origin}";`);
        return `${name} as ${ours}`;
      });
      return `import { ${taken.join(", ")} } from "./index.js";`;
    });
    if (texts[name].includes('"main:')) throw new Error("esbuild writes imports in another way than before");
  }
  const stdin = { contents: [`export * from "./${MAIN}";`, ...hidden.values()].join("\n"), resolveDir: DIST };
  texts.index = (await build({ ...options, stdin })).outputFiles[0].text;
  for (const [name, file] of Object.entries(ALONE))
    texts[name] = (await build({ ...options, entryPoints: [at(file)] })).outputFiles[0].text;
  return texts;
}

export async function bundle() {
  const { build, transform } = await import("esbuild");
  for (const folder of ["esm", "cjs"]) {
    rmSync(at(folder), { recursive: true, force: true });
    mkdirSync(at(folder), { recursive: true });
  }
  for (const [name, text] of Object.entries(await entries(build))) {
    writeFileSync(at(`esm/${name}.js`), withBuiltins(text));
    const here = text.includes("import.meta.url") ? 'const here = require("node:url").pathToFileURL(__filename).href;' : "";
    const define = { "import.meta.url": "here" };
    const { code } = await transform(text, { format: "cjs", platform: "node", target: NODE.target, define, banner: here });
    writeFileSync(at(`cjs/${name}.js`), code);
  }
  await build({ ...NODE, entryPoints: [at("cli/main.js")], format: "esm", outfile: at("esm/cli.js") });
  // For browsers: "browser" in package.json says what takes the place of what only Node has.
  const web = { bundle: true, platform: "browser", entryPoints: [at("index.web.js")], target: "es2022", logLevel: "error" };
  await build({ ...web, format: "esm", outfile: at("esm/web.js") });
  await build({ ...web, format: "cjs", outfile: at("cjs/web.js") });
  // The same declarations, which TypeScript takes for CommonJS here.
  writeFileSync(at("cjs/package.json"), '{ "type": "commonjs" }\n');
  for (const file of readdirSync(DIST, { recursive: true })) {
    if (!file.endsWith(".d.ts") || /^(cjs|esm|cli)\b/.test(file) || file.includes("generated")) continue;
    mkdirSync(dirname(at(`cjs/types/${file}`)), { recursive: true });
    cpSync(at(file), at(`cjs/types/${file}`));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
