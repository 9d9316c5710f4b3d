// Headers of the addon name what they use: each compiles alone, the kernels' after the vectors of a target, and none includes itself again
// by a detour. Skipped, with a line on the console, where there is no compiler.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const NATIVE = fileURLToPath(new URL("../../native", import.meta.url));
const COMPILER = process.env.CXX ?? "g++";
const NODE_HEADERS = join(dirname(dirname(process.execPath)), "include", "node");

const within = (folder: string) => readdirSync(join(NATIVE, folder)).filter((name) => name.endsWith(".h"));
const kernels = within("kernels").map((name) => `kernels/${name}`);
const targets = within("targets").map((name) => `targets/${name}`);
const others = within(".");
const all = [...kernels, ...targets, ...others];

const included = (header: string): string[] =>
  [...readFileSync(join(NATIVE, header), "utf8").matchAll(/^#include "([^"]+)"/gm)].map(([, name]) =>
    join(dirname(header), name as string),
  );

const reason = spawnSync(COMPILER, ["--version"]).status === 0 ? null : `there is no ${COMPILER}`;
if (reason !== null) console.warn(`SKIPPED compiling each header of the addon alone: ${reason}`);

function compile(...headers: string[]): string {
  const napi = createRequire(import.meta.url)("node-addon-api").include_dir;
  const flags = [
    "-std=c++17",
    "-fsyntax-only",
    "-DNAPI_VERSION=8",
    "-DNAPI_CPP_EXCEPTIONS",
    "-I",
    NATIVE,
    "-I",
    NODE_HEADERS,
    "-I",
    napi,
  ];
  const input = headers.map((header) => `#include "${header}"\n`).join("");
  return spawnSync(COMPILER, [...flags, "-x", "c++", "-"], { input, encoding: "utf8" }).stderr;
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

  it.skipIf(reason !== null).each(kernels)("%s compiles after the vectors of a target, alone", { timeout: 60_000 }, (header) => {
    expect(compile("targets/scalar.h", header)).toBe("");
  });

  const napi = existsSync(join(NODE_HEADERS, "node_api.h"));
  const plain = others.filter((name) => napi || !readFileSync(join(NATIVE, name), "utf8").includes("napi"));
  it.skipIf(reason !== null).each(plain)("%s compiles alone", { timeout: 60_000 }, (header) => {
    expect(compile(basename(header))).toBe("");
  });
});
