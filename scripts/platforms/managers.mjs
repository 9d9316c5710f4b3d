// Other package managers than npm: each installs the tarball as it does by default, in a fresh folder, and Node runs from what it laid.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { bun, deno } from "./runtimes.mjs";
import { demand, expectRun, folder, NotHere, node, note, registry, run, scratch, tools, versionOf } from "./trial.mjs";

export async function tryManagers(tarball) {
  let made;
  let reason;
  try {
    made = tools("managers", ["pnpm@latest", "yarn@1", "@yarnpkg/cli-dist@4"]);
  } catch (error) {
    reason = error;
  }
  const tool = (path) => {
    if (made === undefined) throw new NotHere(reason.message);
    return join(made, "node_modules", path);
  };
  const version = (name) => (made === undefined ? "" : ` ${versionOf(made, name)}`);
  const installed = (result) => demand(result.status === 0, result.text);

  await note(`pnpm${version("pnpm")}`, () => {
    const cwd = folder("pnpm");
    const store = ["--store-dir", join(scratch, "pnpm-store")];
    installed(run(tool(".bin/pnpm"), ["add", tarball, ...store], { cwd }));
    return expectRun(node(cwd, "esm.mjs"), "native");
  });
  await note(`Yarn${version("yarn")}`, () => {
    const cwd = folder("yarn1");
    const cache = ["--cache-folder", join(scratch, "yarn1-cache")];
    installed(run(process.execPath, [tool("yarn/bin/yarn.js"), "add", `file:${tarball}`, "--no-progress", ...cache], { cwd }));
    return expectRun(node(cwd, "esm.mjs"), "native");
  });
  for (const linker of ["pnp", "node-modules"]) {
    await note(`Yarn${version("@yarnpkg/cli-dist")}, ${linker === "pnp" ? "Plug'n'Play" : linker}`, () => {
      const cwd = folder(`yarn4-${linker}`);
      writeFileSync(join(cwd, "yarn.lock"), "");
      const yarn = (...args) =>
        run(process.execPath, [tool("@yarnpkg/cli-dist/bin/yarn.js"), ...args], { cwd, env: yarnSettings(linker) });
      installed(yarn("add", `brownian@file:${tarball}`));
      return expectRun(linker === "pnp" ? yarn("node", "esm.mjs") : node(cwd, "esm.mjs"), "native");
    });
  }
  await note("bun add", () => {
    const cwd = folder("bun");
    installed(run(bun(), ["add", tarball], { cwd, env: { BUN_INSTALL_CACHE_DIR: join(scratch, "bun-cache") } }));
    return expectRun(run(bun(), ["esm.mjs"], { cwd }), "native");
  });
  // Deno takes no tarballs: it is given what npm installs, from its own node_modules.
  await note("deno install", () => {
    deno();
    throw new NotHere("Deno installs no tarballs; it was tried on what npm installed");
  });
}

/** By the environment, so that no file of the user's is asked or written. */
function yarnSettings(linker) {
  const address = registry();
  return {
    YARN_NODE_LINKER: linker,
    YARN_NPM_REGISTRY_SERVER: address,
    ...(address.startsWith("http:") && { YARN_UNSAFE_HTTP_WHITELIST: new URL(address).hostname }),
    YARN_ENABLE_GLOBAL_CACHE: "false",
    YARN_GLOBAL_FOLDER: join(scratch, "yarn4"),
    YARN_ENABLE_TELEMETRY: "0",
    YARN_ENABLE_IMMUTABLE_INSTALLS: "false",
  };
}
