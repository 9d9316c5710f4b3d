// To import a module of ours does nothing but define: what is wired, is wired by what imports what. So bundlers may leave out what is not
// used, and the order of imports means nothing. Tables may be made by functions, when they are called for their value; that these in turn
// do nothing else is not looked into, except that the host's own calls are not among them.
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { parseAst } from "vitest/node";

const SOURCE = resolve(import.meta.dirname, "../../src");
/** The command line runs when it is loaded: that is what it is for. */
const PROGRAMS = ["cli/main.ts", "engine/first-load-child.ts", "evolve/crew/worker-child.ts", "kernels/wasm-thread.ts"];
const DEFINITION =
  /^(ClassDeclaration|ExportAllDeclaration|FunctionDeclaration|TSDeclareFunction|TSEnumDeclaration|TSInterfaceDeclaration|TSTypeAliasDeclaration|VariableDeclaration)$/;
const DEED =
  /^(AssignmentExpression|AwaitExpression|ForOfStatement|ImportExpression|StaticBlock|ThrowStatement|UpdateExpression)$/;
const FUNCTION = /Function(Expression|Declaration)$/;
/** Node's modules that only rewrite names. Calls of others, and of these globals, reach outside. */
const NAMING = ["node:path", "node:url"];
const OUTSIDE = ["console", "fetch", "globalThis", "process", "queueMicrotask", "setImmediate", "setInterval", "setTimeout"];

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  // biome-ignore lint/suspicious/noExplicitAny: children and names, by type
  readonly [key: string]: any;
}

const isNode = (value: unknown): value is Node => typeof (value as Node | null)?.type === "string";
const children = (node: Node): Node[] => Object.values(node).flat().filter(isNode);

/** What a module does when it is imported, other than to define: the first line of each. */
function deeds(text: string): string[] {
  const { body } = parseAst(text, { lang: "ts" }) as unknown as { body: Node[] };
  const outside = new Set(OUTSIDE);
  for (const { type, source, specifiers } of body)
    if (type === "ImportDeclaration" && source.value.startsWith("node:") && !NAMING.includes(source.value))
      for (const { local } of specifiers) outside.add(local.name);
  const found: string[] = [];
  const note = ({ start, end }: Node) => found.push(text.slice(start, end).split("\n", 1)[0] as string);
  /** What is evaluated at once. Functions run later, unless they are handed to one that is called. */
  const evaluate = (node: Node, called = false): void => {
    if (FUNCTION.test(node.type) && !called) return;
    if (node.type === "PropertyDefinition" && !node.static) return;
    if (DEED.test(node.type) || (node.type === "UnaryExpression" && node.operator === "delete")) note(node);
    const calls = /^(Call|New)Expression$/.test(node.type);
    if (calls) {
      let root: Node = node.callee;
      while (root.type === "MemberExpression") root = root.object;
      if (outside.has(root.name)) note(node);
    }
    for (const child of children(node)) evaluate(child, calls);
  };
  for (const each of body) {
    const node = /^Export(Named|Default)Declaration$/.test(each.type) ? (each.declaration ?? undefined) : each;
    if (node === undefined) continue;
    if (node.type === "ImportDeclaration") {
      if (node.specifiers.length === 0) note(node);
    } else if (!DEFINITION.test(node.type)) note(node);
    else evaluate(node);
  }
  return found;
}

describe("to import a module", () => {
  it("does nothing but define", () => {
    const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => file.endsWith(".ts") && !PROGRAMS.includes(file));
    expect(files.length).toBeGreaterThan(100);
    const doing = files.flatMap((file) => deeds(readFileSync(join(SOURCE, file), "utf8")).map((deed) => `${file}: ${deed}`));
    expect(doing).toEqual([]);
  });

  for (const deed of [
    'import "./native.js";',
    "offer(backend);",
    "if (x) y();",
    "const x = await load();",
    "count++;",
    "export const x = process.cwd();",
    'import { existsSync } from "node:fs"; const x = ["a"].find((file) => existsSync(file));',
    "const x = table.map((row) => (row.length = 0));",
    "class X { static { register(X); } }",
  ])
    it(`is seen to do something: ${deed}`, () => expect(deeds(deed)).not.toEqual([]));

  it("is seen to define", () => {
    const text = `import { x } from "./x.js"; export * from "./y.js"; export type { T } from "./z.js";
      const TABLE = new Map(x.map((row) => [row.name, row])); let kept: number | undefined; enum E { A } interface I { a: number }
      export function f() { kept = process.pid; } export const g = async () => { await f(); }; export class C { at = process.pid; }`;
    expect(deeds(text)).toEqual([]);
  });
});
