// What importing costs and brings: heavy packages stay unloaded until they are used; the web entry runs where there is no Node, is small,
// and gives the same bytes when WebAssembly is forbidden.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { perturb } from "../../src/lattice/perturb.js";
import { sameBits } from "../support/bits.js";

const DIST = resolve(import.meta.dirname, "../../dist");
const scratch = mkdtempSync(join(tmpdir(), "brownian-imports-"));
afterAll(() => rmSync(scratch, { recursive: true }));

/** What an entry imports when it is loaded: files below dist/, and the names of what lies outside. Dynamic imports come later, or never. */
async function importsOf(entry: string, platform: "node" | "browser" = "node"): Promise<{ files: string[]; outside: string[] }> {
  const { metafile } = await build({
    entryPoints: [join(DIST, entry)],
    platform,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    packages: "external",
    logLevel: "error",
  });
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const outside = imports.filter((i) => i.external && i.kind !== "dynamic-import").map((i) => i.path);
  return { files: Object.keys(metafile.inputs), outside: [...new Set(outside)] };
}

let script: Promise<string> | undefined;
/** The web entry as one script for a page, as bundlers make it. */
const bundled = (): Promise<string> => {
  script ??= bundle();
  return script;
};

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(DIST, "index.web.js")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    globalName: "brownian",
    platform: "browser",
    target: "es2022",
  });
  return outputFiles[0]?.text ?? "";
}

describe("brownian", () => {
  it("loads nothing but itself and Node's own modules", async () => {
    const { files, outside } = await importsOf("index.js");
    expect(files.length).toBeGreaterThan(20);
    expect(outside.filter((name) => !name.startsWith("node:"))).toEqual([]);
    expect(outside).not.toContain("node:crypto"); // two milliseconds
  });

  it("asks Node for its modules at run time, as it is published: to import node:fs would load all streams", async () => {
    const { files, outside } = await importsOf("esm/index.js");
    expect(outside).toEqual(["node:module"]);
    expect(files.map((file) => basename(file)).sort()).toEqual(["core.js", "index.js"]);
  });

  it("exports its public names and no others, as it is published", async () => {
    const require = createRequire(import.meta.url);
    const load = (file: string) => import(/* @vite-ignore */ pathToFileURL(join(DIST, file)).href);
    const names = Object.keys(await load("index.js")).sort();
    expect(names.length).toBeGreaterThan(20);
    expect(Object.keys(await load("esm/index.js")).sort()).toEqual(names);
    expect(Object.keys(require(join(DIST, "cjs/index.js"))).sort()).toEqual(names);
  });

  it("shares classes among the entries of one module system, and knows the errors of every copy", async () => {
    const require = createRequire(import.meta.url);
    const load = (file: string) => import(/* @vite-ignore */ pathToFileURL(join(DIST, file)).href);
    const copies = [
      await load("esm/index.js"),
      await load("esm/web.js"),
      require(join(DIST, "cjs/index.js")),
      require(join(DIST, "cjs/web.js")),
    ];
    const sampling = [await load("esm/sampling.js"), require(join(DIST, "cjs/sampling.js"))];
    for (const { softmax } of [...copies, ...sampling]) {
      const thrown = (() => {
        try {
          softmax(new Float32Array(0));
        } catch (error) {
          return error;
        }
      })();
      for (const { BrownianError } of copies) expect(thrown).toBeInstanceOf(BrownianError);
      expect(new Error("no")).not.toBeInstanceOf(copies[0].BrownianError);
    }
    expect(readFileSync(join(DIST, "esm/llama.js"), "utf8")).toMatch(/import \{ [^}]*Thermostat[^}]* \} from "\.\/core\.js"/);
  });

  it("has loaded no package after its first import, as Node sees it", () => {
    const hook = join(scratch, "hook.mjs");
    writeFileSync(
      hook,
      `import { writeSync } from "node:fs";
       export async function resolve(name, context, next) { const found = await next(name, context); writeSync(2, found.url + "\\n"); return found; }`,
    );
    const program = `
      import { register, createRequire } from "node:module";
      register(${JSON.stringify(`file://${hook}`)});
      const { backend } = await import(${JSON.stringify(`file://${DIST}/index.js`)});
      console.log(backend.name, Object.keys(createRequire(import.meta.url).cache).filter((f) => !f.endsWith(".node")).length);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
    expect(stdout).toMatch(/^(native|wasm|js) 0\n$/);
    expect(stderr).toContain("/dist/index.js");
    expect(stderr).not.toContain("/node_modules/");
  });
});

describe("brownian/sampling", () => {
  it("imports nothing of Node, as it is published: it is for pages, too", async () => {
    const { outside } = await importsOf("esm/sampling.js", "browser");
    expect(outside).toEqual([]);
  });
});

describe("brownian/web", () => {
  const options = { type: "Q8_0", sigma: 0.02, seed: 42n, name: "blk.0.attn_q.weight" } as const;
  const weights = () => Uint8Array.from({ length: 34 * 512 }, (_, i) => (i % 34 === 0 ? 0 : i % 34 === 1 ? 0x20 : (i * 37) & 63));
  const moved = weights();
  perturb(moved, options);

  it("imports nothing outside, and no native backend", async () => {
    const { files, outside } = await importsOf("index.web.js", "browser");
    expect(outside).toEqual([]);
    expect(files.filter((file) => file.includes("native") || file.includes("/files/"))).toEqual([]);
  });

  it("takes at most 60 kB as a page gets it", async () => {
    const bytes = gzipSync(await bundled(), { level: 9 }).length;
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThanOrEqual(60_000);
  });

  const forbidden = {
    ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)])),
    Module: class {
      constructor() {
        throw new EvalError("refused by the page's Content Security Policy");
      }
    },
    instantiate: async () => {
      throw new EvalError("refused by the page's Content Security Policy");
    },
  };
  const hosts = [
    { host: "a page", global: WebAssembly, expected: "wasm simd128", reason: /^$/ },
    {
      host: "a page whose policy forbids WebAssembly",
      global: forbidden,
      expected: "js scalar",
      reason: /Content Security Policy/,
    },
    { host: "a host without WebAssembly", global: undefined, expected: "js scalar", reason: /has no WebAssembly/ },
  ];
  for (const { host, global, expected, reason } of hosts) {
    for (const init of [false, true]) {
      it(`moves the same bytes in ${host}${init ? ", after init()" : ""}`, async () => {
        // A context of its own with what a page has and Node's globals do not leak into: no process, no require, no Buffer.
        const data = weights();
        const page = { WebAssembly: global, atob, TextEncoder, setTimeout, data, options, Uint8Array };
        const run = `${await bundled()};
          (async () => {
            ${init ? "await brownian.init();" : ""}
            const { changed } = await brownian.perturbAsync(data, options);
            const normal = new brownian.Noise(7n).stream("x").normal(new Float32Array(4));
            const { name, isa, rejected } = brownian.backend;
            return { changed, normal: [...normal], runs: name + " " + isa, reasons: rejected.map((r) => r.reason).join() };
          })()`;
        const { changed, runs, reasons } = await runInNewContext(run, page);
        expect(runs).toBe(expected);
        expect(reasons).toMatch(reason);
        expect(changed).toBeGreaterThan(0);
        expect(sameBits(data, moved)).toBe(true);
      });
    }
  }
});
