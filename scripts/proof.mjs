// npm run proof [-- --quick]: packs the tarball and tries it as strangers would, in fresh folders: without network or compiler, without the
// addon, without WebAssembly, as a module and as CommonJS, in workers, in bundles, from TypeScript, on another processor. Everything must
// give the same bytes. Writes what it saw into docs/platforms.md. --quick leaves out compiling (of prebuilds that are there, and from the tarball).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { missing as arm64Missing, arm64Node, emulated } from "./arm64.mjs";
import { pack } from "./pack.mjs";
import { prebuild } from "./prebuild.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const quick = process.argv.includes("--quick");
const scratch = mkdtempSync(join(realpathSync(tmpdir()), "brownian-proof-"));
const bin = (name) => join(ROOT, "node_modules", name);
const rows = [];
let failed = false;

function run(command, args, options = {}) {
  const env = { ...process.env, ...options.env };
  for (const name of Object.keys(env)) if (/^(BROWNIAN_|NODE_PATH$|NODE_OPTIONS$)/.test(name)) delete env[name];
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26, ...options, env });
  return { ...result, text: `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}` };
}

/** One line of the table: what was tried, and what came of it: a string, or an Error. */
function note(what, see) {
  let seen;
  try {
    seen = see();
  } catch (error) {
    seen = error;
  }
  const fine = !(seen instanceof Error);
  failed ||= !fine;
  const text = fine ? seen : `FAILED: ${seen.message.trim().split("\n").slice(0, 3).join(" / ")}`;
  rows.push([what, text]);
  console.error(`${fine ? "fine  " : "FAILED"} ${what}: ${fine ? text : seen.message}`);
}

function demand(condition, message) {
  if (!condition) throw new Error(message);
}

// What every host has to compute: normals, and a move in each format. Printed as "backend isa hash".
const BODY = `
  const parts = [];
  const stream = new brownian.Noise(42n).stream("proof");
  parts.push(new Uint8Array(stream.normal(new Float32Array(4096)).buffer));
  for (const format of brownian.FORMATS) {
    // Codes of all kinds; bytes below 64 keep every scale finite.
    const data = Uint8Array.from({ length: format.bytes * 64 }, (_, i) => ((i * 2654435761) >>> 7) & 63);
    brownian.perturb(data, { type: format.name, sigma: 0.05, scale: "step", seed: 7n, name: format.name, ...(format.name === "I8" && { step: 0.01 }) });
    parts.push(data);
  }
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  let text = "";
  for (const byte of all) text += byte.toString(16).padStart(2, "0");
  console.log(brownian.backend.name + " " + brownian.backend.isa + " " + text);`;
const ESM = (from = "brownian") => `import * as brownian from "${from}";\n${BODY}`;
const CJS = `const brownian = require("brownian");\n${BODY}`;

let reference;
/** Checks that a host ran this backend and gave the bytes that the first gave. */
function expectRun(result, backend) {
  demand(result.status === 0, result.text);
  const [, name, isa, hex] = /^(\w+) (\w+) ([0-9a-f]+)\s*$/.exec(result.stdout) ?? [];
  demand(hex !== undefined, `unexpected output: ${result.text.slice(0, 500)}`);
  const hash = createHash("sha256").update(hex).digest("hex").slice(0, 12);
  reference ??= hash;
  demand(name === backend, `runs ${name} ${isa}, not ${backend}`);
  demand(hash === reference, `bytes ${hash}, not ${reference}`);
  return `${name} ${isa}, bytes ${hash}`;
}

/** A fresh folder in which the tarball is installed as in another that was. */
function folder(name, from) {
  const made = join(scratch, name);
  if (from === undefined) {
    mkdirSync(made);
    writeFileSync(join(made, "package.json"), '{ "private": true, "type": "module" }\n');
  } else cpSync(from, made, { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(made, "esm.mjs"), ESM());
  writeFileSync(join(made, "cjs.cjs"), CJS);
  writeFileSync(join(made, "web.mjs"), ESM("brownian/web"));
  return made;
}

const node = (cwd, ...args) => run(process.execPath, args, { cwd });

// --- the tarball

const targets = ["linux-x64", "linux-arm64"];
for (const target of targets) {
  if (quick && existsSync(join(ROOT, "build", "prebuilds", target, "brownian.node"))) continue;
  note(`prebuild ${target}`, () => `built here, needs glibc ${prebuild(target).glibc}`);
}
const tarball = pack();
note("publint --strict", () => {
  const { status, text } = run(process.execPath, [bin("publint/src/cli.js"), tarball, "--strict"]);
  demand(status === 0 && text.includes("All good"), text);
  return "no remarks";
});
note("arethetypeswrong (node16 and bundler resolution)", () => {
  const { status, text } = run(process.execPath, [bin("@arethetypeswrong/cli/dist/index.js"), tarball, "--profile", "node16"]);
  demand(status === 0, text);
  return "no problems";
});

// --- npm

const npmScript = [
  process.env.npm_execpath,
  join(dirname(dirname(process.execPath)), "lib/node_modules/npm/bin/npm-cli.js"),
  "/usr/share/nodejs/npm/bin/npm-cli.js",
].find((place) => place?.endsWith(".js") && existsSync(place));
const install = ["install", tarball, "--no-audit", "--no-fund", "--foreground-scripts", "--loglevel=error"];
run(process.execPath, [npmScript, ...install], { cwd: folder("cache") }); // brings the dependencies into npm's cache
const plain = folder("npm");
note("npm install, no network, no compiler", () => {
  const path = join(scratch, "path");
  mkdirSync(path);
  symlinkSync(process.execPath, join(path, "node"));
  symlinkSync("/bin/sh", join(path, "sh"));
  const { status, text } = run(process.execPath, [npmScript, ...install, "--offline"], { cwd: plain, env: { PATH: path } });
  demand(status === 0, text);
  demand(!/gyp|install script/i.test(text), text);
  demand(!existsSync(join(plain, "node_modules/brownian/build")), "something was built");
  return "no build step";
});
const here = `${process.platform}-${process.arch}`;
note(`ES module, Node ${process.version}`, () => expectRun(node(plain, "esm.mjs"), "native"));
note(`CommonJS, Node ${process.version}`, () => expectRun(node(plain, "cjs.cjs"), "native"));
note("worker thread", () => {
  writeFileSync(
    join(plain, "worker.mjs"),
    'import { Worker } from "node:worker_threads";\nnew Worker(new URL("./esm.mjs", import.meta.url));\n',
  );
  return expectRun(node(plain, "worker.mjs"), "native");
});
note("brownian info", () => {
  const { status, stdout, text } = run(
    process.execPath,
    [join(plain, "node_modules/brownian/dist/esm/cli.js"), "info", "--json"],
    { cwd: plain },
  );
  demand(status === 0 && JSON.parse(stdout).backend === "native", text);
  return "says native";
});
note("brownian perturb, inspect (the model that comes along)", () => {
  const cli = join(plain, "node_modules/brownian/dist/esm/cli.js");
  const model = join(plain, "node_modules/brownian/models/fairytales-3M-Q8_0.gguf");
  const moved = node(plain, cli, "perturb", model, "-o", "moved.gguf", "--sigma", "0.05", "--only", "blk.*");
  demand(moved.status === 0, moved.text);
  const { status, text } = node(plain, cli, "inspect", "moved.gguf");
  demand(status === 0, text);
  return "work";
});
const addonless = folder("addonless", plain);
rmSync(join(addonless, "node_modules/brownian/prebuilds"), { recursive: true });
note("addon deleted", () => expectRun(node(addonless, "esm.mjs"), "wasm"));
note("addon damaged", () => {
  const damaged = folder("damaged", plain);
  writeFileSync(join(damaged, "node_modules/brownian/prebuilds", here, "brownian.node"), "not an addon");
  return expectRun(node(damaged, "esm.mjs"), "wasm");
});
note("brownian info without the addon", () => {
  const { stdout, text } = node(addonless, join(addonless, "node_modules/brownian/dist/esm/cli.js"), "info");
  demand(/not native: .*not built/.test(stdout) && /npx brownian build-native/.test(stdout), text);
  return "says why, and what to do";
});
note("addon deleted, WebAssembly forbidden (--no-expose-wasm)", () =>
  expectRun(node(addonless, "--no-expose-wasm", "esm.mjs"), "js"),
);
note("brownian/web", () => expectRun(node(plain, "web.mjs"), "wasm"));
note("condition browser", () => expectRun(node(plain, "--conditions=browser", "esm.mjs"), "wasm"));
note("condition workerd", () => expectRun(node(plain, "--conditions=workerd", "esm.mjs"), "wasm"));
note("build-native without a compiler", () => {
  const { status, text } = run(process.execPath, [join(addonless, "node_modules/brownian/dist/esm/cli.js"), "build-native"], {
    cwd: addonless,
    env: { PATH: join(scratch, "path"), CXX: "" },
  });
  demand(status === 2 && /lacks|no node-gyp/.test(text), text);
  return "says what is missing";
});
if (!quick) {
  note("build-native from the tarball's sources", () => {
    const cli = join(addonless, "node_modules/brownian/dist/esm/cli.js");
    const { status, text } = run(process.execPath, [cli, "build-native"], { cwd: ROOT });
    demand(status === 0, text);
    return expectRun(node(addonless, "esm.mjs"), "native");
  });
}

// --- other processors

note("linux-arm64 addon, under qemu-user", () => {
  const reason = arm64Missing();
  if (reason !== null) return `built, not run: ${reason}`;
  const [command, ...args] = emulated(arm64Node());
  return expectRun(run(command, [...args, "esm.mjs"], { cwd: plain }), "native");
});

// --- bundlers

const { build } = await import("esbuild");
for (const [what, options, backend, file] of [
  ["esbuild for browsers", { platform: "browser", format: "iife" }, "wasm", "esbuild-browser.cjs"],
  ["esbuild for Node, in one file (no addon beside it)", { platform: "node", format: "cjs" }, "wasm", "esbuild-node.cjs"],
]) {
  const outfile = join(scratch, "bundles", file);
  let error;
  await build({ entryPoints: [join(plain, "esm.mjs")], bundle: true, outfile, logLevel: "silent", ...options }).catch((e) => {
    error = e;
  });
  note(what, () => {
    if (error) throw error;
    return expectRun(node(scratch, outfile), backend);
  });
}

// --- TypeScript

for (const [resolution, settings, file, header] of [
  ["nodenext, module", { module: "NodeNext", moduleResolution: "NodeNext" }, "consumer.mts", ""],
  ["nodenext, CommonJS", { module: "NodeNext", moduleResolution: "NodeNext" }, "consumer.cts", ""],
  ["bundler", { module: "ESNext", moduleResolution: "Bundler" }, "consumer.ts", ""],
]) {
  note(`TypeScript, ${resolution}`, () => {
    const consumer = folder(`ts-${file}`, plain);
    cpSync(bin("@types/node"), join(consumer, "node_modules/@types/node"), { recursive: true });
    cpSync(bin("undici-types"), join(consumer, "node_modules/undici-types"), { recursive: true });
    const code = `${header}
      import { backend, type Moved, Noise, perturb, Thermostat, BrownianError } from "brownian";
      import { perturb as webPerturb, init } from "brownian/web";
      import { softmax } from "brownian/sampling";
      const moved: Moved = perturb(new Uint8Array(34), { type: "Q8_0", sigma: 1, seed: 1n });
      const isa: string = backend.isa;
      // @ts-expect-error a seed is needed
      perturb(new Uint8Array(34), { type: "Q8_0", sigma: 1 });
      export { isa, moved, Noise, Thermostat, BrownianError, webPerturb, init, softmax };`;
    writeFileSync(join(consumer, file), code);
    const compilerOptions = {
      ...settings,
      strict: true,
      noEmit: true,
      target: "ES2022",
      lib: ["ES2022", "ESNext.Disposable", "DOM"],
      types: ["node"],
    };
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [file] }));
    const { status, text } = node(consumer, bin("typescript/bin/tsc"), "-p", ".");
    demand(status === 0, text);
    return "compiles, declarations checked too";
  });
}

// --- what was seen

const cell = (text) => text.replaceAll("|", "\\|");
const table = ["| tried | seen |", "|---|---|", ...rows.map(([what, seen]) => `| ${cell(what)} | ${cell(seen)} |`)].join("\n");
const page = join(ROOT, "docs", "platforms.md");
const marks = /(<!-- proof -->\n)[\s\S]*(<!-- \/proof -->)/;
const text = readFileSync(page, "utf8");
if (!marks.test(text)) throw new Error(`${page} has no place for the table`);
// A quick run saw less: it changes nothing.
if (!quick)
  writeFileSync(
    page,
    text.replace(marks, (_, before, after) => `${before}${table}\n${after}`),
  );
rmSync(scratch, { recursive: true });
console.log(
  `${rows.length - rows.filter(([, seen]) => seen.startsWith("FAILED")).length} fine, ${rows.filter(([, seen]) => seen.startsWith("FAILED")).length} failed; ${readdirSync(join(ROOT, "build", "prebuilds")).join(", ")} in ${tarball}`,
);
process.exitCode = failed ? 1 : 0;
