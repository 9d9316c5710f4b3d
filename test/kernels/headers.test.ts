// Headers of the addon name what they use: each compiles alone, the kernels' after the vectors of a target, and none includes itself again
// by a detour. Skipped, with a line on the console, where there is no compiler.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const NATIVE = fileURLToPath(new URL("../../native", import.meta.url));
const COMPILER = process.env.CXX ?? "g++";
const NODE_HEADERS = join(dirname(dirname(process.execPath)), "include", "node");

const within = (folder: string) => readdirSync(join(NATIVE, folder)).filter((name) => name.endsWith(".h"));
const kernels = within("kernels").map((name) => `kernels/${name}`);
const targets = within("targets").map((name) => `targets/${name}`);
const others = [...within("."), ...within("engine").map((name) => `engine/${name}`)];
const all = [...kernels, ...targets, ...others];

const included = (header: string): string[] =>
  [...readFileSync(join(NATIVE, header), "utf8").matchAll(/^#include "([^"]+)"/gm)].map(([, name]) =>
    join(dirname(header), name as string),
  );

const reason = spawnSync(COMPILER, ["--version"]).status === 0 ? null : `there is no ${COMPILER}`;
if (reason !== null) console.warn(`SKIPPED compiling each header of the addon alone: ${reason}`);

/** Targets that this compiler can compile for, and their flags. */
const FLAGS: Record<string, readonly string[]> = {
  scalar: [],
  ...(process.arch === "x64" && { avx2: ["-mavx2", "-mpopcnt"] }),
  ...(process.arch === "x64" && { avx512: ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mpopcnt"] }),
  ...(process.arch === "arm64" && { neon: [] }),
};

/** What the compiler has against these headers, in turn; it says nothing where it has nothing. */
function compile(headers: readonly string[], flags: readonly string[] = []): string {
  const napi = createRequire(import.meta.url)("node-addon-api").include_dir;
  const defines = ["-DNAPI_VERSION=8", "-DNAPI_CPP_EXCEPTIONS"];
  const paths = [NATIVE, NODE_HEADERS, napi].flatMap((path) => ["-I", path]);
  const input = headers.map((header) => `#include "${header}"\n`).join("");
  const all = ["-std=c++17", "-fsyntax-only", ...defines, ...paths, ...flags, "-x", "c++", "-"];
  return spawnSync(COMPILER, all, { input, encoding: "utf8" }).stderr;
}

describe("headers of the addon", () => {
  it("include each other in no circle", () => {
    const done = new Set<string>();
    const visit = (header: string, path: readonly string[]): void => {
      expect(path, `${[...path, header].join(" -> ")}`).not.toContain(header);
      if (done.has(header)) return;
      for (const next of included(header)) visit(next, [...path, header]);
      done.add(header);
    };
    for (const header of all) visit(header, []);
    expect([...done].sort()).toEqual([...all].sort());
  });

  it("are each included once in a source, whatever includes them", () => {
    for (const header of all) expect(readFileSync(join(NATIVE, header), "utf8"), header).toContain("#pragma once\n");
  });

  it.skipIf(reason !== null).each(kernels)("%s compiles after the vectors of a target, alone", (header) => {
    expect(compile(["targets/scalar.h", header])).toBe("");
  });

  it.skipIf(reason !== null).each(Object.entries(FLAGS))("the vectors of %s compile alone", (target, flags) => {
    expect(compile([`targets/${target}.h`], flags)).toBe("");
  });

  const napi = existsSync(join(NODE_HEADERS, "node_api.h"));
  const plain = others.filter((name) => napi || !readFileSync(join(NATIVE, name), "utf8").includes("napi"));
  it.skipIf(reason !== null).each(plain)("%s compiles alone", (header) => {
    expect(compile([header])).toBe("");
  });
});
