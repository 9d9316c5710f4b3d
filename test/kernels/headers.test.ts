// Headers of the addon name what they use: each compiles alone, the kernels' after the vectors of a target, and none includes itself again
// by a detour. Skipped, with a line on the console, where there is no compiler.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

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

const scratch = mkdtempSync(join(tmpdir(), "brownian-headers-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const napiPaths = [NODE_HEADERS, createRequire(import.meta.url)("node-addon-api").include_dir];
const OPTIONS = [
  ...["-std=c++17", "-DNAPI_VERSION=8", "-DNAPI_CPP_EXCEPTIONS"],
  ...[NATIVE, ...napiPaths].flatMap((path) => ["-I", path]),
];
/** What comes before a header, by name, compiled once for all: most of the time goes there. */
const PRELUDES = { kernels: '#include "targets/scalar.h"\n', napi: "#include <napi.h>\n" };

/** What the compiler has against a text; it says nothing where it has nothing. */
function compile(input: string, prelude?: keyof typeof PRELUDES, flags: readonly string[] = []): string {
  const before = prelude ? ["-include", join(scratch, `${prelude}.h`)] : [];
  const all = [...OPTIONS, "-fsyntax-only", ...flags, ...before, "-x", "c++", "-"];
  return spawnSync(COMPILER, all, { input, encoding: "utf8" }).stderr;
}

const include = (header: string) => `#include "${header}"\n`;

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

  describe.skipIf(reason !== null)("compile alone:", () => {
    const napi = existsSync(join(NODE_HEADERS, "node_api.h"));
    const reaches = (header: string): boolean =>
      /<napi.h>|<node_api.h>/.test(readFileSync(join(NATIVE, header), "utf8")) || included(header).some(reaches);
    const withNapi = napi ? others.filter(reaches) : [];
    const plain = others.filter((header) => !reaches(header));

    beforeAll(() => {
      for (const name of ["kernels", ...(napi ? ["napi" as const] : [])] as const) {
        const text = join(scratch, `${name}.h`);
        writeFileSync(text, PRELUDES[name]);
        // Where a compiler takes no such file, it reads the text each time.
        spawnSync(COMPILER, [...OPTIONS, "-x", "c++-header", text, "-o", `${text}.gch`]);
      }
    });
    it.each(kernels)("%s, after the vectors of a target", (header) => expect(compile(include(header), "kernels")).toBe(""));
    it.each(Object.entries(FLAGS))("the vectors of %s", (target, flags) => {
      expect(compile(include(`targets/${target}.h`), undefined, flags)).toBe("");
    });
    // napi.h is what those name first, or what they name does.
    it.each(withNapi)("%s", (header) => expect(compile(include(header), "napi")).toBe(""));
    it.each(plain)("%s", (header) => expect(compile(include(header))).toBe(""));
    it("are found out if they do not", () => {
      expect(compile("inline int one() { return two(); }\n", "kernels")).toContain("two");
    });
  });
});
