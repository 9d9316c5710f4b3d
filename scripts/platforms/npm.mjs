// npm and this machine's Node: without network or compiler, as a module and as CommonJS, in workers, without the addon, without WebAssembly.
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { here } from "./hosts.mjs";
import { demand, expectRun, folder, NotHere, node, note, npm, ROOT, run, scratch } from "./trial.mjs";

const cliOf = (made) => join(made, "node_modules/brownian/dist/esm/cli.js");

/** Installs the tarball in a fresh folder, tries it there, and returns the folder. */
export async function tryNpm(tarball, quick) {
  const install = ["install", tarball, "--no-audit", "--no-fund", "--foreground-scripts", "--loglevel=error"];
  npm(folder("cache"), install); // brings the dependencies into npm's cache
  const plain = folder("npm");
  const bare = join(scratch, "path"); // a PATH without compiler
  mkdirSync(bare);
  if (process.platform !== "win32") {
    symlinkSync(process.execPath, join(bare, "node"));
    symlinkSync("/bin/sh", join(bare, "sh"));
  }
  await note("npm install, no network, no compiler", () => {
    const { status, text } = npm(plain, [...install, "--offline"], { env: { PATH: bare } });
    demand(status === 0, text);
    demand(!/gyp|install script/i.test(text), text);
    demand(!existsSync(join(plain, "node_modules/brownian/build")), "something was built");
    const manifest = JSON.parse(readFileSync(join(plain, "node_modules/brownian/package.json"), "utf8"));
    demand(manifest.scripts === undefined, "the package has scripts");
    demand(!existsSync(join(plain, "node_modules/brownian/binding.gyp")), "npm would compile where it finds binding.gyp");
    return "no install script, no build step";
  });
  await note(`ES module, Node ${process.versions.node}`, () => expectRun(node(plain, "esm.mjs"), "native"));
  await note(`CommonJS, Node ${process.versions.node}`, () => expectRun(node(plain, "cjs.cjs"), "native"));
  await note("worker thread", () => {
    const start = 'import { Worker } from "node:worker_threads";\nnew Worker(new URL("./esm.mjs", import.meta.url));\n';
    writeFileSync(join(plain, "worker.mjs"), start);
    return expectRun(node(plain, "worker.mjs"), "native");
  });
  await note("brownian info", () => {
    const { status, stdout, text } = node(plain, cliOf(plain), "info", "--json");
    demand(status === 0 && JSON.parse(stdout).backend === "native", text);
    return "says native";
  });
  await note("brownian perturb, inspect (the model that comes along)", () => {
    const model = join(plain, "node_modules/brownian/models/fairytales-3M-Q8_0.gguf");
    const moved = node(plain, cliOf(plain), "perturb", model, "-o", "moved.gguf", "--sigma", "0.05", "--only", "blk.*");
    demand(moved.status === 0, moved.text);
    const { status, text } = node(plain, cliOf(plain), "inspect", "moved.gguf");
    demand(status === 0, text);
    return "work";
  });

  const addonless = folder("addonless", plain);
  rmSync(join(addonless, "node_modules/brownian/prebuilds"), { recursive: true });
  await note("addon deleted", () => expectRun(node(addonless, "esm.mjs"), "wasm"));
  await note("addon damaged", () => {
    const damaged = folder("damaged", plain);
    writeFileSync(join(damaged, "node_modules/brownian/prebuilds", here, "brownian.node"), "not an addon");
    return expectRun(node(damaged, "esm.mjs"), "wasm");
  });
  await note("brownian info without the addon", () => {
    const { stdout, text } = node(addonless, cliOf(addonless), "info");
    demand(/not native: .*not built/.test(stdout) && /npx brownian build-native/.test(stdout), text);
    return "says why, and what to do";
  });
  await note("native forbidden (BROWNIAN_BACKEND=wasm)", () => {
    const program = 'process.env.BROWNIAN_BACKEND = "wasm"; await import("./esm.mjs");';
    return expectRun(node(plain, "--input-type=module", "-e", program), "wasm");
  });
  await note("addons forbidden by Node (--no-addons)", () => expectRun(node(plain, "--no-addons", "esm.mjs"), "wasm"));
  await note("addon deleted, WebAssembly forbidden (--no-expose-wasm)", () =>
    expectRun(node(addonless, "--no-expose-wasm", "esm.mjs"), "js"),
  );
  await note("brownian/web", () => expectRun(node(plain, "web.mjs"), "wasm"));
  await note("condition browser", () => expectRun(node(plain, "--conditions=browser", "esm.mjs"), "wasm"));
  await note("condition workerd", () => expectRun(node(plain, "--conditions=workerd", "esm.mjs"), "wasm"));
  await note("build-native without a compiler", () => {
    if (process.platform === "win32") throw new NotHere("on Windows node-gyp finds compilers by itself");
    const { status, text } = run(process.execPath, [cliOf(addonless), "build-native"], {
      cwd: addonless,
      env: { PATH: bare, CXX: "" },
    });
    demand(status === 2 && /lacks|no node-gyp/.test(text), text);
    return "says what is missing";
  });
  if (!quick) {
    await note("build-native from the tarball's sources", () => {
      const { status, text } = run(process.execPath, [cliOf(addonless), "build-native"], { cwd: ROOT });
      demand(status === 0, text);
      return expectRun(node(addonless, "esm.mjs"), "native");
    });
  }
  return plain;
}
