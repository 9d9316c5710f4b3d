// The pages keep to 120 columns, name only what is there, and their words are defined where the glossary says. The examples of the README run
// (those of docs/guides/methods.md: test/learn/docs.test.ts).
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ENGINE_VERSION, installLine } from "../../src/engine/install.js";

const ROOT = resolve(import.meta.dirname, "../..");
const WIDTH = 120;
/** What is built, brought along, or not ours. */
const OUTSIDE = new Set([
  "node_modules",
  "scripts/docs/node_modules",
  "build",
  "dist",
  "prebuilds",
  ".git",
  "docs/demo",
  "src/kernels/generated",
]);

/** Files below a folder with one of these endings, as paths from the root. */
function* files(endings: readonly string[], folder = ""): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (OUTSIDE.has(path)) continue;
    if (entry.isDirectory()) yield* files(endings, path);
    else if (endings.some((ending) => path.endsWith(ending))) yield path;
  }
}

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const pages = [...files([".md"])].map((path) => ({ path, text: read(path) }));

/** Lines outside of code blocks, with their numbers. */
function prose(text: string): { line: string; number: number }[] {
  let fenced = false;
  return text
    .split("\n")
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => {
      const fence = /^\s*```/.test(line);
      if (fence) fenced = !fenced;
      return !fence && !fenced && !line.startsWith("    ");
    });
}

/** What GitHub calls a heading in links. */
const anchor = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
const anchors = (text: string) =>
  prose(text).flatMap(({ line }) => {
    const heading = /^#+ (.*)$/.exec(line)?.[1];
    return heading === undefined ? [] : [anchor(heading)];
  });

describe.each(pages)("$path", ({ path, text }) => {
  it(`has no line over ${WIDTH} columns, but for tables, code and links`, () => {
    const long = prose(text).filter(({ line }) => {
      const shown = line.replace(/\]\([^)]*\)/g, "]");
      return [...shown].length > WIDTH && !line.startsWith("|") && !line.startsWith("![");
    });
    expect(long.map(({ number }) => `${path}:${number}`)).toEqual([]);
  });

  it("links to what is there", () => {
    const lost = prose(text)
      .flatMap(({ line }) => [...line.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!))
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file, part] = target.split("#") as [string, string?];
        const there = file === "" ? join(ROOT, path) : join(ROOT, dirname(path), file);
        if (!existsSync(there)) return true;
        return part !== undefined && !anchors(read(relative(ROOT, there))).includes(part);
      });
    expect(lost).toEqual([]);
  });

  // A changelog tells of what was; NAME stands for any.
  it.skipIf(path === "CHANGELOG.md")("names files that are there", () => {
    const named = text.matchAll(
      /(?<![\w./-])(?:src|native|assembly|scripts|test|bench|docs|examples|demo|models|\.github)\/[\w./-]*\.\w+/g,
    );
    expect([...named].map(([file]) => file).filter((file) => !file.includes("NAME") && !existsSync(join(ROOT, file)))).toEqual(
      [],
    );
  });
});

it("comments name pages that are there", () => {
  const lost = [...files([".ts", ".mjs", ".cc", ".h", ".c", ".py"])].flatMap((path) =>
    [...read(path).matchAll(/(?<![\w./-])docs\/[\w./-]+\.(?:md|svg|png)/g)]
      .map(([page]) => page)
      .filter((page) => !existsSync(join(ROOT, page)) && page !== "ggml/docs/gguf.md")
      .map((page) => `${path}: ${page}`),
  );
  expect(lost).toEqual([]);
});

it("the index of the docs has every page", () => {
  const index = read("docs/README.md");
  const others = pages.map(({ path }) => path).filter((path) => path.startsWith("docs/") && path !== "docs/README.md");
  expect(others.filter((path) => !index.includes(`(${relative("docs", path)})`))).toEqual([]);
});

it("the table of laws names files that are there", () => {
  const folders = ["src/laws", "native/kernels", "assembly"];
  const rows = read("docs/architecture.md")
    .split("\n")
    .filter((line) => line.startsWith("| ") && line.split(" | ").length === 6)
    .map((line) => line.slice(2, -2).split(" | ").slice(3));
  const named = rows.flatMap((cells) =>
    cells.flatMap((cell, i) =>
      [...cell.matchAll(/(?<![\w./])[\w-]+(?:\.inl)?\.(?:ts|h)/g)].map(([file]) => `${folders[i]}/${file}`),
    ),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
});

describe("the glossary", () => {
  const rows = read("docs/glossary.md")
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| word "))
    .map((line) => line.slice(2, -2).split(" | "));

  it("has its words in alphabetical order, each in a sentence", () => {
    const words = rows.map(([word]) => word!.replace(/ [^a-zA-Z]$/, "").toLowerCase());
    expect(words).toEqual([...words].sort((a, b) => a.localeCompare(b, "en")));
    expect(rows.filter((row) => row.length !== 4 || !row[1]!.includes(".")).map(([word]) => word)).toEqual([]);
  });

  it("says in which file each is defined", () => {
    const named = rows.flatMap(([word, , , where]) => (where === "–" ? [] : where!.split(", ").map((file) => ({ word, file }))));
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter(({ file }) => !existsSync(join(ROOT, file)) || !statSync(join(ROOT, file)).isFile())).toEqual([]);
  });
});

describe("README.md: every example runs as it stands, outside of a clone", () => {
  const blocks = [...read("README.md").matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1]!);
  const folder = mkdtempSync(join(tmpdir(), "brownian-readme-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(ROOT, join(folder, "node_modules", "brownian"), "junction");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("there are two", () => expect(blocks.length).toBe(2));

  it.each(blocks.map((block, i) => [block.split("\n", 1)[0]!, block, i] as const))("%s", (_, block, i) => {
    const file = join(folder, `readme-${i}.mjs`);
    // What was changed is said, so that an example whose codes cannot move is none.
    const told = block.includes("{ changed }") ? '\nif (!(changed > 1000)) throw new Error("only " + changed + " moved");' : "";
    writeFileSync(file, `${block}${told}`);
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: folder, encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    if (block.includes("process.stdout")) expect(stdout.length).toBeGreaterThan(100);
  });
});

it("the README names the release of the engine that is known", () => {
  const { devDependencies } = JSON.parse(read("package.json"));
  expect(ENGINE_VERSION).toBe(devDependencies["node-llama-cpp"]);
  expect(read("README.md")).toContain(installLine("linux", "x64"));
});
