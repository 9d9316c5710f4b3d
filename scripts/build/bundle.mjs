// From dist/ as TypeScript leaves it to what the package's `exports` name: dist/esm and dist/cjs. A few files load in a
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
/** The main entry. All that it loads lies in one file, core.js, from which it exports its public names and nothing else. */
const MAIN = "index.js";
/** Other subpaths. They take what lies in core.js from there, so that classes and state are shared, and load the rest themselves. */
const BESIDE = { llama: "index.llama.js", learn: "learn/index.js" };
/** Subpaths that load nothing else, and so serve pages too. */
const ALONE = { sampling: "sampling/index.js" };

/** Where a CommonJS file lies that serves pages, too: bundlers for pages must find no name of Node's to look for. */
const HERE = `const here = typeof process === "object" && process.getBuiltinModule && typeof __filename === "string"
  ? process.getBuiltinModule("node:url").pathToFileURL(__filename).href : undefined;`;

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

/** The entries as ES modules, by name, and what they share: `core`. */
async function entries(build) {
  const options = { ...NODE, format: "esm", write: false, metafile: true };
  const { metafile } = await build({ ...options, entryPoints: [at(MAIN)] });
  const inCore = new Set(Object.keys(metafile.inputs).map((file) => resolve(file)));
  const fromCore = {
    name: "what lies in the core",
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        const file = resolve(resolveDir, path);
        return kind === "import-statement" && inCore.has(file)
          ? { path: `core:${relative(DIST, file).replaceAll(sep, "/")}`, external: true, sideEffects: false }
          : undefined;
      });
    },
  };
  const texts = {};
  const main = await load(MAIN);
  const beyond = new Map(); // names in the core that are not public: what exports each
  for (const [name, file] of Object.entries(BESIDE)) {
    const { outputFiles } = await build({ ...options, entryPoints: [at(file)], plugins: [fromCore] });
    const [{ text }] = outputFiles;
    const origins = new Map();
    for (const [, origin] of text.matchAll(/"core:([^"]+)"/g)) origins.set(origin, await load(origin));
    texts[name] = text.replace(/^import \{ ([^}]+) \} from "core:([^"]+)";$/gm, (_, names, origin) => {
      const taken = names.split(",").map((each) => {
        const [theirs, ours = theirs] = each.trim().split(" as ");
        if (main[theirs] === origins.get(origin)[theirs]) return `${theirs} as ${ours}`;
        // Modules may give one name to two things.
        const name = `${origin.replace(/\.js$/, "").replace(/\W+/g, "_")}_${theirs}`;
        beyond.set(name, `export { ${theirs} as ${name} } from "./${origin}";`);
        return `${name} as ${ours}`;
      });
      return `import { ${taken.join(", ")} } from "./core.js";`;
    });
    if (texts[name].includes('"core:')) throw new Error("esbuild writes imports in another way than before");
  }
  const stdin = { contents: [`export * from "./${MAIN}";`, ...beyond.values()].join("\n"), resolveDir: DIST };
  texts.core = (await build({ ...options, stdin })).outputFiles[0].text;
  texts.index = `export { ${Object.keys(main).sort().join(", ")} } from "./core.js";\n`;
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
  // Split, so that what a command loads only when it runs (a server, plots) is not loaded by every other one.
  const children = { "first-load-child": at("engine/first-load-child.js"), "worker-child": at("evolve/crew/worker-child.js") };
  const entryPoints = { cli: at("cli/main.js"), ...children };
  await build({ ...NODE, entryPoints, splitting: true, chunkNames: "cli-[hash]", outdir: at("esm"), format: "esm" });
  cpSync(join(ROOT, "src/serve/page"), at("esm/page"), { recursive: true }); // read as it lies
  // For browsers: "browser" in package.json says what takes the place of what only Node has.
  const web = { bundle: true, platform: "browser", entryPoints: [at("index.web.js")], target: "es2022", logLevel: "error" };
  await build({ ...web, format: "esm", outfile: at("esm/web.js") });
  const here = { define: { "import.meta.url": "here" }, banner: { js: HERE } };
  await build({ ...web, ...here, format: "cjs", outfile: at("cjs/web.js") });
  // What threads run. Beside each bundle that starts some, as a script that is good as a module, as CommonJS and in a page.
  for (const folder of ["esm", "cjs"])
    await build({ ...web, entryPoints: [at("kernels/wasm-thread.js")], format: "iife", outfile: at(`${folder}/wasm-thread.js`) });
  // The same declarations, which TypeScript takes for CommonJS here.
  writeFileSync(at("cjs/package.json"), '{ "type": "commonjs" }\n');
  for (const file of readdirSync(DIST, { recursive: true })) {
    if (!file.endsWith(".d.ts") || /^(cjs|esm|cli)\b/.test(file) || file.includes("generated")) continue;
    mkdirSync(dirname(at(`cjs/types/${file}`)), { recursive: true });
    cpSync(at(file), at(`cjs/types/${file}`));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle();
