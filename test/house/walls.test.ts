// The walls of the house: who may import whom (arrows.json, the one place that says so; docs/architecture.md has the reasons), no cycles,
// no long files, no long lists of arguments, and a comment at the head of every file. Texts are searched, since no compiler is at hand.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import arrows from "./arrows.json" with { type: "json" };

const ROOT = resolve(import.meta.dirname, "../..");
const allowed: Record<string, readonly string[]> = arrows;

/** Files of these folders, as paths from the root; what is generated or brought along is left out. */
function files(folders: readonly string[], endings: RegExp): string[] {
  const inside = (folder: string): string[] =>
    readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return entry.name === "node_modules" || entry.name === "generated" ? [] : inside(path);
      return endings.test(path) ? [path] : [];
    });
  return folders.flatMap(inside);
}

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const sources = files(["src"], /\.ts$/).map((path) => ({ path, text: read(path) }));

/** The files of src/ that a text names in imports and exports, of types too, and in calls of `import`. */
function importsOf(path: string, text: string): string[] {
  const named = text.matchAll(/^\s*import\s+"(\.[^"]+)"|\bfrom\s+"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/gm);
  return [...named].map(([, alone, from, called]) =>
    join(dirname(path), (alone ?? from ?? called) as string)
      .replaceAll("\\", "/")
      .replace(/\.js$/, ".ts"),
  );
}

const imports = new Map(sources.map(({ path, text }) => [path, importsOf(path, text)]));

/** The first folder below src/, or the file that lies there by itself. */
const roomOf = (path: string) => path.split("/")[1] as string;

describe("rooms", () => {
  it("are all named in arrows.json, and no others", () => {
    const rooms = new Set(sources.map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => !(room in allowed))).toEqual([]);
    const named = new Set([...Object.keys(allowed), ...Object.values(allowed).flat()]);
    named.delete("environment.ts"); // until there is one
    expect([...named].filter((room) => !rooms.has(room))).toEqual([]);
  });

  it("have arrows without a circle: each names only rooms that are named before it", () => {
    const order = Object.keys(allowed);
    for (const [room, others] of Object.entries(allowed))
      expect(others.filter((other) => order.indexOf(other) >= order.indexOf(room), room)).toEqual([]);
  });

  it.each(Object.keys(allowed))("%s imports only from where it may", (room) => {
    const wrong = sources
      .filter(({ path }) => roomOf(path) === room)
      .flatMap(({ path }) => imports.get(path)?.map((other) => ({ path, other })) ?? [])
      .filter(({ other }) => roomOf(other) !== room && !allowed[room]?.includes(roomOf(other)));
    expect(wrong.map(({ path, other }) => `${path} imports ${other}`)).toEqual([]);
  });
});

describe("files of src/", () => {
  it("import only files that are there", () => {
    const known = new Set(imports.keys());
    const missing = [...imports].flatMap(([path, others]) =>
      others.filter((other) => !known.has(other) && !other.includes("/generated/")).map((other) => `${path} imports ${other}`),
    );
    expect(missing).toEqual([]);
  });

  it("import each other in no circle, by types neither", () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (path: string, way: readonly string[]): void => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(" > "));
      if (done.has(path) || way.includes(path)) return;
      for (const other of imports.get(path) ?? []) visit(other, [...way, path]);
      done.add(path);
    };
    for (const path of imports.keys()) visit(path, []);
    expect(circles).toEqual([]);
  });
});

const CODE = /\.(ts|mjs|js|cc|h|c)$/;

describe("size", () => {
  const LINES = 400;
  /** Tables, which are as long as what they list; and what is generated. */
  const TABLES = new Set<string>([]);

  it(`is at most ${LINES} lines a file`, () => {
    const long = files(["src", "native", "assembly", "scripts"], CODE)
      .filter((path) => !TABLES.has(path))
      .map((path) => ({ path, lines: read(path).trimEnd().split("\n").length }))
      .filter(({ lines }) => lines > LINES);
    expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  const ARGUMENTS = 6;
  /** Inner loops of kernels, where an object a call would cost. */
  const INNER = new Set([
    "src/laws/lattice.ts moveLattice",
    "src/laws/levels.ts moveLevels",
    "src/laws/moves.ts moveRun",
    "src/laws/philox.ts fillBlocks",
  ]);

  it(`is at most ${ARGUMENTS} positional arguments, of what a file of src/ exports`, () => {
    const many = sources
      .flatMap(({ path, text }) => exportedFunctions(text).map((each) => ({ ...each, path })))
      .filter(({ path, name, parameters }) => parameters > ARGUMENTS && !INNER.has(`${path} ${name}`));
    expect(many.map(({ path, name, parameters }) => `${path} ${name}: ${parameters}`)).toEqual([]);
  });

  it("is counted right", () => {
    const text = `
      export function one<T extends Map<string, number>>(a: (x: T, y: T) => void, b = "(,", c?: [T, T], ...d: T[]): void {}
      export async function* two({ a, b }: { a: number; b: number }, /* ( */ c: Record<string, T>,
        // a remark, with a comma
      ) {}
      export const three = async <T,>(a: T, b: T) => a;
      export function none() {}
      function inside(a, b, c) {}
      export class Four { method(a: number, b: number, c: number) { return (a, b); } get five() { return 1; } }
      export interface Six { method(a: number, b: number): void }`;
    const counted = Object.fromEntries(exportedFunctions(text).map(({ name, parameters }) => [name, parameters]));
    expect(counted).toEqual({ one: 4, two: 2, three: 2, none: 0 });
  });
});

/** What a text exports as functions, with how many parameters each takes. */
function exportedFunctions(text: string): { name: string; parameters: number }[] {
  const plain = text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|\s)\/\/.*$/gm, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  const heads = plain.matchAll(
    /^[ \t]*export (?:default )?(?:(?:async )?function\*? ?(\w+)\s*|const (\w+)(?::[^=]+)? = (?:async )?(?=[(<]))/gm,
  );
  return [...heads].flatMap((head) => {
    const parameters = parametersAt(plain, head.index + head[0].length);
    return parameters === undefined ? [] : [{ name: (head[1] ?? head[2]) as string, parameters }];
  });
}

/** How many parameters stand in the parentheses that open here, or behind a list of type parameters; none where no parentheses do. */
function parametersAt(text: string, start: number): number | undefined {
  let depth = 0;
  let listed = ""; // what stands between the outermost brackets, with a mark for each bracket inside
  for (let i = start; i < text.length; i++) {
    const character = text[i] as string;
    if ("([{<".includes(character)) {
      depth++;
      listed = depth === 1 ? "" : `${listed}_`;
    } else if (")]}>".includes(character) && text.slice(i - 1, i + 1) !== "=>") {
      depth--;
      if (depth === 0 && character === ")") return listed.split(",").filter((each) => each.trim() !== "").length;
    } else if (depth === 1) listed += character;
    else if (depth === 0 && character.trim() !== "") return undefined;
  }
  return undefined;
}

it("every file opens with a comment that says what lives there", () => {
  const silent = files(["src", "native", "assembly", "scripts", "bench", "test", "demo", "examples"], CODE)
    .filter((path) => !path.includes("/fixtures/"))
    .filter((path) => !/^(#!.*\n)?\s*(\/\/|\/\*)/.test(read(path)));
  expect(silent).toEqual([]);
});
