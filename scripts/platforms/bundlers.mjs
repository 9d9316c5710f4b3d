// Builds of bundlers that run: for browsers in Chromium (a page, and a worker where the bundler makes one), for Node in Node. And the web entry as it
// is: in a page, in a Web Worker, in a service worker, under a policy that forbids WebAssembly.
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { browserName, closeBrowser, visit } from "./pages.mjs";
import {
  ESM,
  expectRun,
  expectSeen,
  expectThreads,
  folder,
  NotHere,
  node,
  note,
  scratch,
  THREADED,
  tools,
  versionOf,
} from "./trial.mjs";

const page = (script) => `<!doctype html><meta charset="utf-8"><title>trial</title><link rel="icon" href="data:,">${script}\n`;
const MODULE = page('<script type="module" src="./app.js"></script>');
const WORKER =
  'new Worker(new URL("./work.js", import.meta.url), { type: "module" }).onmessage = ({ data }) => { globalThis.seen = data; };\n';

/** What a browser says of a file that is not there. */
const MISSING = /Failed to load resource: the server responded with a status of 404/;

/** The web entry, as the package has it, in pages that no bundler made. */
async function tryPages(plain) {
  const own = (file) => join(plain, "node_modules/brownian/dist/esm", file);
  const site = (name, files) => {
    const root = join(scratch, name);
    mkdirSync(root);
    cpSync(own("web.js"), join(root, "brownian.js"));
    for (const [file, text] of Object.entries({ "index.html": MODULE, ...files })) writeFileSync(join(root, file), text);
    return root;
  };
  const inPage = { "app.js": ESM("./brownian.js", "globalThis.seen = seen;") };
  const inWorker = { "app.js": WORKER, "work.js": ESM("./brownian.js", "postMessage(seen);") };
  const inService = {
    "app.js": `
      await navigator.serviceWorker.register("./service.js", { type: "module" });
      const { active } = await navigator.serviceWorker.ready;
      navigator.serviceWorker.onmessage = ({ data }) => { globalThis.seen = data; };
      active.postMessage("compute");\n`,
    "service.js": ESM(
      "./brownian.js",
      "onactivate = (event) => event.waitUntil(clients.claim());\nonmessage = ({ source }) => source.postMessage(seen);",
    ),
  };
  const name = await browserName();
  const row = (what, backend, root, options) =>
    note(`${name}: ${what}`, async () => expectSeen(await visit(root, options), backend));
  await row('<script type="module">, brownian/web as it is', "wasm", site("page", inPage));
  await row(
    "await init(), compiled in the background",
    "wasm",
    site("page-init", {
      "app.js": ESM("./brownian.js", "globalThis.seen = seen;").replace("\n", "\nawait brownian.init();\n"),
    }),
  );
  await row("Web Worker", "wasm", site("worker", inWorker));
  await row("service worker", "wasm", site("service", inService));
  const forbids = "default-src 'self'; script-src 'self'; img-src data:";
  await row("page whose policy forbids WebAssembly (script-src 'self')", "js", site("policy", inPage), { policy: forbids });
  await row("Web Worker under that policy", "js", site("policy-worker", inWorker), { policy: forbids });
  const allows = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:";
  await row("page whose policy allows it ('wasm-unsafe-eval')", "wasm", site("policy-wasm", inPage), { policy: allows });

  const threaded = { "app.js": THREADED('import * as brownian from "./brownian.js";', "globalThis.seen = seen;") };
  const threads = (what, memory, root, options) =>
    note(`${name}, threads: ${what}`, async () => expectThreads(await visit(root, options), memory));
  const withFile = (root) => {
    cpSync(own("wasm-thread.js"), join(root, "wasm-thread.js"));
    return root;
  };
  await threads("page, wasm-thread.js beside it", "copied", withFile(site("threads", threaded)));
  await threads("page that is isolated (crossOriginIsolated)", "shared", withFile(site("threads-shared", threaded)), {
    isolated: true,
  });
  await threads("page without that file", "none", site("threads-none", threaded), { expected: MISSING });
  await threads("page whose policy forbids workers (worker-src 'none')", "none", withFile(site("threads-policy", threaded)), {
    policy: `${allows}; worker-src 'none'`,
  });
}

/**
 * Each bundler: how it makes a site of app.js (and work.js) in `cwd`, in dist/; whether it takes along what `new Worker(new URL(...))` names; and how
 * it makes one file for Node, where it is often used so.
 */
const BUNDLERS = {
  esbuild: {
    async site(esbuild, cwd) {
      const entryPoints = ["app.js", "work.js"].map((file) => join(cwd, file));
      await esbuild.build({
        entryPoints,
        bundle: true,
        format: "esm",
        platform: "browser",
        outdir: join(cwd, "dist"),
        logLevel: "silent",
      });
    },
    async forNode(esbuild, cwd) {
      const entryPoints = [join(cwd, "esm.mjs")];
      await esbuild.build({
        entryPoints,
        bundle: true,
        format: "cjs",
        platform: "node",
        outfile: join(cwd, "node.cjs"),
        logLevel: "silent",
      });
      return "node.cjs";
    },
  },
  rollup: {
    async site({ rollup }, cwd, { nodeResolve }) {
      const built = await rollup({
        input: ["app.js", "work.js"].map((file) => join(cwd, file)),
        plugins: [nodeResolve({ browser: true })],
      });
      await built.write({ dir: join(cwd, "dist"), format: "es" });
      await built.close();
    },
    async forNode({ rollup }, cwd, { nodeResolve }) {
      const external = /^node:/;
      const built = await rollup({
        input: join(cwd, "esm.mjs"),
        external,
        plugins: [nodeResolve({ exportConditions: ["node"] })],
      });
      await built.write({ file: join(cwd, "node.mjs"), format: "es", inlineDynamicImports: true });
      await built.close();
      return "node.mjs";
    },
  },
  webpack: {
    bundlesWorkers: true,
    site: ({ default: webpack }, cwd) =>
      packed(webpack, { entry: join(cwd, "app.js"), context: cwd, output: { path: join(cwd, "dist"), filename: "app.js" } }),
    async forNode({ default: webpack }, cwd) {
      await packed(webpack, {
        entry: join(cwd, "esm.mjs"),
        context: cwd,
        target: "node20",
        output: { path: cwd, filename: "node.cjs" },
      });
      return "node.cjs";
    },
  },
  vite: {
    bundlesWorkers: true,
    async site({ build }, cwd) {
      await build({
        root: cwd,
        base: "./",
        logLevel: "silent",
        worker: { format: "es" },
        build: { outDir: "dist", emptyOutDir: true },
      });
    },
    async forNode({ build }, cwd) {
      const ssr = { noExternal: true, target: "node" };
      await build({
        root: cwd,
        logLevel: "silent",
        ssr,
        build: { ssr: "esm.mjs", outDir: "node", rollupOptions: { output: { entryFileNames: "node.mjs" } } },
      });
      return "node/node.mjs";
    },
  },
};

function packed(webpack, settings) {
  return new Promise((resolve, reject) => {
    webpack({ mode: "production", ...settings }, (error, stats) => {
      if (error) reject(error);
      else if (stats.hasErrors()) reject(new Error(stats.toString({ all: false, errors: true })));
      else resolve();
    });
  });
}

export async function tryBundlers(plain) {
  await tryPages(plain);
  let made;
  let reason;
  try {
    made = tools("bundlers", [
      "vite@latest",
      "webpack@latest",
      "rollup@latest",
      "@rollup/plugin-node-resolve@latest",
      "esbuild@latest",
    ]);
  } catch (error) {
    reason = error;
  }
  const load = async (name) => {
    if (made === undefined) throw new NotHere(reason.message);
    return import(pathToFileURL(createRequire(join(made, "package.json")).resolve(name)).href);
  };
  for (const [name, { site, forNode, bundlesWorkers }] of Object.entries(BUNDLERS)) {
    const title = made === undefined ? name : `${name} ${versionOf(made, name)}`;
    // What a page is made of: the library in the page, and in a worker.
    const inPage = ESM("brownian", "globalThis.seen = seen;");
    for (const [what, app] of [
      ["page", inPage],
      ["Web Worker", WORKER],
    ]) {
      await note(`${title}, for browsers: ${what}`, async () => {
        const cwd = folder(`${name}-${what.replace(" ", "-")}`, plain);
        for (const [file, text] of Object.entries({
          "app.js": app,
          "work.js": ESM("brownian", "postMessage(seen);"),
          "index.html": MODULE,
        }))
          writeFileSync(join(cwd, file), text);
        await site(await load(name), cwd, name === "rollup" ? await load("@rollup/plugin-node-resolve") : undefined);
        // Vite writes a page of its own.
        if (name !== "vite") cpSync(join(cwd, "index.html"), join(cwd, "dist/index.html"));
        return expectSeen(await visit(join(cwd, "dist")), "wasm");
      });
    }
    await note(
      `${title}, for browsers: threads${bundlesWorkers ? "" : ", wasm-thread.js copied beside the bundle"}`,
      async () => {
        const cwd = folder(`${name}-threads`, plain);
        writeFileSync(join(cwd, "app.js"), THREADED('import * as brownian from "brownian";', "globalThis.seen = seen;"));
        writeFileSync(join(cwd, "work.js"), "onmessage = null;\n");
        writeFileSync(join(cwd, "index.html"), MODULE);
        await site(await load(name), cwd, name === "rollup" ? await load("@rollup/plugin-node-resolve") : undefined);
        if (name !== "vite") cpSync(join(cwd, "index.html"), join(cwd, "dist/index.html"));
        if (!bundlesWorkers) cpSync(join(cwd, "node_modules/brownian/dist/esm/wasm-thread.js"), join(cwd, "dist/wasm-thread.js"));
        return expectThreads(await visit(join(cwd, "dist")), "copied");
      },
    );
    // webpack writes down where the library lay, and there its addon is found.
    const expected = name === "webpack" ? "native" : "wasm";
    await note(`${title}, for Node, the library within`, async () => {
      const cwd = folder(`${name}-node`, plain);
      const file = await forNode(
        await load(name),
        cwd,
        name === "rollup" ? await load("@rollup/plugin-node-resolve") : undefined,
      );
      const apart = folder(`${name}-node-apart`); // where no package is
      cpSync(join(cwd, file), join(apart, file.split("/").at(-1)));
      return expectRun(node(apart, file.split("/").at(-1)), expected);
    });
  }
  await closeBrowser();
}
