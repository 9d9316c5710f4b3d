// What is published: nothing that runs on installing, every file that `exports` names, and, of a release, every addon.
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { publishedManifest } from "../../scripts/build/manifest.mjs";
import { clearNative, LAID, layNative } from "../../scripts/build/native-sources.mjs";
import { lacking, missing, RELEASED } from "../../scripts/build/pack.mjs";
import { TARGETS } from "../../scripts/build/prebuild.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

it("has no script that a package manager runs by itself, but those that build a checkout and pack it; what is packed has none", () => {
  const lifecycle = /^(pre|post)?(install|prepare|publish|pack)$|^(prepublishOnly|dependencies)$/;
  expect(Object.keys(manifest.scripts).filter((name) => lifecycle.test(name))).toEqual(["prepare", "prepack", "postpack"]);
  expect(publishedManifest()).not.toHaveProperty("scripts");
  expect(manifest.gypfile).toBe(false);
});

it("has every file that `exports` names", () => {
  const files = (entry: unknown): string[] =>
    typeof entry === "string" ? [entry] : Object.values(entry as object).flatMap(files);
  const named = files(manifest.exports);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

it("is not packed before it is built, and says what is missing", () => {
  const empty = mkdtempSync(join(tmpdir(), "brownian-empty-"));
  try {
    expect(lacking(empty)).toEqual([
      "node_modules/node-addon-api is missing: npm run setup",
      "dist/esm/index.js is missing: npm run setup",
      expect.stringMatching(/^build\/prebuilds is missing: npm run prebuild-native .*npm pack/),
    ]);
  } finally {
    rmSync(empty, { recursive: true });
  }
});

it("has in native/ what compiling needs, where it is packed", () => {
  const native = join(mkdtempSync(join(tmpdir(), "brownian-native-")), "native");
  try {
    cpSync(join(ROOT, "native"), native, { recursive: true });
    layNative(native);
    const gyp = readFileSync(join(native, "binding.gyp"), "utf8");
    const sources = [...gyp.matchAll(/"([\w/]+\.cc)"/g)].map(([, name]) => name as string);
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.filter((name) => !existsSync(join(native, name)))).toEqual([]);
    expect(existsSync(join(native, "node-addon-api", "napi.h"))).toBe(true);
    clearNative(native);
    expect(LAID.filter((name) => existsSync(join(native, name)))).toEqual([]);
  } finally {
    rmSync(join(native, ".."), { recursive: true });
  }
});

it("npm that setup starts does not start setup again", () => {
  const setup = join(ROOT, "scripts/build/setup.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [setup], {
    env: { ...process.env, BROWNIAN_SETUP: "1" },
    cwd: tmpdir(),
    encoding: "utf8",
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
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
