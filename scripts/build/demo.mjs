// The page: node scripts/build/demo.mjs [--port N] [--build]. Bundles demo/ with the engine and the embedded model into docs/demo, which any web server can
// hand out as it is, and serves it on this machine only. What is built holds others' code and the model, so it is not kept in the repository.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const DEMO = join(ROOT, "demo");
const OUT = join(ROOT, "docs", "demo");
const MODULES = join(ROOT, "node_modules");
const PORT = 8642;

/** What the page fetches, beside what is bundled. */
const FILES = {
  "index.html": join(DEMO, "index.html"),
  "style.css": join(DEMO, "style.css"),
  "wllama.wasm": join(MODULES, "@wllama", "wllama", "esm", "wasm", "wllama.wasm"),
  "fairytales-3M-Q8_0.gguf": join(ROOT, "models", "fairytales-3M-Q8_0.gguf"),
};

/** Whose work is in the built files, and where their licences lie. llama.cpp's is not among the packages; it is MIT as well. */
const LICENCES = {
  brownian: join(ROOT, "LICENSE"),
  "@wllama/wllama": join(MODULES, "@wllama", "wllama", "LICENCE"),
  "@huggingface/gguf": join(MODULES, "@huggingface", "gguf", "LICENSE"),
  "@huggingface/tasks": join(MODULES, "@huggingface", "tasks", "LICENSE"),
};

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm", // compiled while it arrives
  ".gguf": "application/octet-stream",
};

/** Builds the page into a folder, which is emptied first. */
export async function build(out = OUT) {
  for (const file of Object.values(FILES)) if (!existsSync(file)) throw new Error(`${file} is missing: run npm run setup.`);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const { build: bundle } = await import("esbuild");
  await bundle({
    entryPoints: [join(DEMO, "main.ts"), join(DEMO, "worker.ts")],
    outdir: out,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    // Its exports name the build for Node only.
    alias: { "@huggingface/gguf": join(MODULES, "@huggingface", "gguf", "dist", "browser", "index.mjs") },
    logLevel: "error",
  });
  for (const [name, file] of Object.entries(FILES)) cpSync(file, join(out, name));
  const texts = Object.entries(LICENCES).map(([name, file]) => `${name}\n\n${readFileSync(file, "utf8").trim()}\n`);
  const others = [
    "llama.cpp and ggml, within wllama.wasm: MIT, Copyright (c) 2023-2026 The ggml authors; terms as above.\n",
    "The model fairytales-3M: CC0-1.0.\n",
  ];
  writeFileSync(join(out, "licenses.txt"), [...texts, ...others].join(`\n${"-".repeat(72)}\n\n`));
  return out;
}

/** Serves the files of a folder (not of folders in it) on 127.0.0.1. Port 0 takes any. Resolves to the server and its address. */
export function serve(folder, port = 0) {
  const names = new Set(readdirSync(folder));
  const server = createServer((request, response) => {
    const name = (request.url ?? "/").replace(/[?#].*$/, "").slice(1) || "index.html";
    const headers = { "x-content-type-options": "nosniff", "cache-control": "no-cache" };
    if (!names.has(name) || !existsSync(join(folder, name))) {
      response.writeHead(404, { ...headers, "content-type": TYPES[".txt"] }).end("There is no such file here.\n");
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { ...headers, allow: "GET, HEAD" }).end();
    } else {
      const body = readFileSync(join(folder, name));
      response.writeHead(200, { ...headers, "content-type": TYPES[extname(name)], "content-length": body.length });
      response.end(request.method === "HEAD" ? undefined : body);
    }
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve({ server, address: `http://127.0.0.1:${server.address().port}/` }));
  });
}

async function main() {
  const { values } = parseArgs({ options: { port: { type: "string" }, build: { type: "boolean" } } });
  const port = Number(values.port ?? PORT);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new Error(`--port must be a whole number up to 65535, but is ${values.port}.`);
  await build();
  if (values.build) {
    console.log("Built docs/demo: any web server can hand it out as it is.");
    return;
  }
  const { address } = await serve(OUT, port);
  console.log(`Temperature as Brownian motion: ${address}  (Ctrl-C ends it)`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    const taken = error.code === "EADDRINUSE" ? "That port is taken: name another with --port, or 0 for any." : error.message;
    console.error(`demo: ${taken}`);
    process.exitCode = 1;
  }
}
