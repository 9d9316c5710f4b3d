// What is published: nothing that runs on installing, every file that `exports` names, and, of a release, every addon.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { missing, RELEASED } from "../../scripts/build/pack.mjs";
import { TARGETS } from "../../scripts/build/prebuild.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

it("has no script that a package manager runs by itself, in a checkout neither", () => {
  const lifecycle = /^(pre|post)?(install|prepare|publish|pack)$|^(prepublishOnly|dependencies)$/;
  expect(Object.keys(manifest.scripts).filter((name) => lifecycle.test(name))).toEqual([]);
  expect(manifest.gypfile).toBe(false);
});

it("has every file that `exports` names", () => {
  const files = (entry: unknown): string[] =>
    typeof entry === "string" ? [entry] : Object.values(entry as object).flatMap(files);
  const named = files(manifest.exports);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

it("is no release while an addon is missing, and names it", () => {
  const prebuilds = mkdtempSync(join(tmpdir(), "brownian-prebuilds-"));
  try {
    expect(missing(prebuilds)).toEqual(RELEASED);
    for (const target of RELEASED) {
      mkdirSync(join(prebuilds, target));
      if (target !== "win32-arm64") writeFileSync(join(prebuilds, target, "brownian.node"), "");
    }
    expect(missing(prebuilds)).toEqual(["win32-arm64"]);
  } finally {
    rmSync(prebuilds, { recursive: true });
  }
  expect(RELEASED).toEqual(expect.arrayContaining(Object.keys(TARGETS)));
});
