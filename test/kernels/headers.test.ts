// Headers of the addon name what they use: each compiles alone, the kernels' after the vectors of a target, and none includes itself again
// by a detour. A text that this compiler took is not compiled again until it, or what it includes, changes: build/test-cache/headers.json.
// Skipped, with a line on the console, where there is no compiler.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

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

const compiler = spawnSync(COMPILER, ["--version"], { encoding: "utf8" });
const reason = compiler.status === 0 ? null : `there is no ${COMPILER}`;
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

const TAKEN = fileURLToPath(new URL("../../build/test-cache/headers.json", import.meta.url));
const taken = new Set<string>(existsSync(TAKEN) ? (JSON.parse(readFileSync(TAKEN, "utf8")) as string[]) : []);
/** Of what is here now: what was before is forgotten. */
const takenNow = new Set<string>();
afterAll(() => {
  mkdirSync(dirname(TAKEN), { recursive: true });
  writeFileSync(TAKEN, JSON.stringify([...takenNow].sort()));
});

/** What comes before, compiled when it is first needed. Where a compiler takes no such file, it reads the text each time. */
const preludes = new Map<string, string>();
function compiled(prelude: keyof typeof PRELUDES): string {
  const text = preludes.get(prelude) ?? join(scratch, `${prelude}.h`);
  if (preludes.has(prelude)) return text;
  preludes.set(prelude, text);
  writeFileSync(text, PRELUDES[prelude]);
  spawnSync(COMPILER, [...OPTIONS, "-x", "c++-header", text, "-o", `${text}.gch`]);
  return text;
}

/** What the compiler has against a text; it says nothing where it has nothing. */
function compile(input: string, prelude?: keyof typeof PRELUDES, flags: readonly string[] = []): string {
  const before = prelude ? ["-include", compiled(prelude)] : [];
  const all = [...OPTIONS, "-fsyntax-only", ...flags, ...before, "-x", "c++", "-"];
  return spawnSync(COMPILER, all, { input, encoding: "utf8" }).stderr;
}

const textsOf = new Map<string, string>();
/** The text of a header and of all that it includes of ours. */
function textOf(header: string): string {
  const known = textsOf.get(header);
  if (known !== undefined) return known;
  const text = `${readFileSync(join(NATIVE, header), "utf8")}${included(header).map(textOf).join("")}`;
  textsOf.set(header, text);
  return text;
}

/** What the compiler has against a header by itself. */
function alone(header: string, prelude?: keyof typeof PRELUDES, flags: readonly string[] = []): string {
  const before = prelude === "kernels" ? textOf("targets/scalar.h") : (prelude ?? "");
  const parts = [compiler.stdout, process.version, ...OPTIONS, ...flags, before, header, textOf(header)];
  const key = createHash("sha256").update(parts.join("\n")).digest("hex");
  const complaints = taken.has(key) ? "" : compile(`#include "${header}"\n`, prelude, flags);
  if (complaints === "") takenNow.add(key);
  return complaints;
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

  describe.skipIf(reason !== null)("compile alone:", () => {
    const napi = existsSync(join(NODE_HEADERS, "node_api.h"));
    const reaches = (header: string): boolean =>
      /<napi.h>|<node_api.h>/.test(readFileSync(join(NATIVE, header), "utf8")) || included(header).some(reaches);
    const withNapi = napi ? others.filter(reaches) : [];
    const plain = others.filter((header) => !reaches(header));

    it.each(kernels)("%s, after the vectors of a target", (header) => expect(alone(header, "kernels")).toBe(""));
    it.each(Object.entries(FLAGS))("the vectors of %s", (target, flags) => {
      expect(alone(`targets/${target}.h`, undefined, flags)).toBe("");
    });
    // napi.h is what those name first, or what they name does.
    it.each(withNapi)("%s", (header) => expect(alone(header, "napi")).toBe(""));
    it.each(plain)("%s", (header) => expect(alone(header)).toBe(""));
    it("are found out if they do not", () => {
      expect(compile(`${PRELUDES.kernels}inline int one() { return two(); }\n`)).toContain("two");
    });
  });
});
