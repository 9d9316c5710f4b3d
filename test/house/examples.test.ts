// Every @example of src/ type-checks, with no names but those that the doors export (of rooms without a door, the file's room), Node's and the
// stand-ins below. Those that need no file, model or data are run, too, and give the numbers that their comments say.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { transform } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { init } from "../../src/learn/index.js";

const ROOT = resolve(import.meta.dirname, "../..");

/** What an example may take for given: its reader has it. By name, with the type it has. */
const STAND_INS: Readonly<Record<string, string>> = {
  bytes: "Uint8Array",
  comparison: 'import("../../dist/index.llama.js").Comparison',
  copy: 'import("../../dist/files/index.js").LiveCopy',
  dataset: 'import("../../dist/learn/index.js").Dataset',
  episode: "number",
  keep: "(params: any) => void",
  html: "string",
  kernels: 'import("../../dist/kernels/contract.js").Kernels',
  key: 'import("../../dist/learn/index.js").Key',
  member: "number",
  movedQ: "number[]",
  model: 'import("../../dist/llama/index.js").Model',
  network: "any", // sequential(...), of layers of the reader's
  params: "any", // of that network
  partial: "string",
  profile: 'import("../../dist/index.js").Profile',
  records: "any",
  sigma: "number",
  stillQ: "number[]",
  student: "any", // a network, too
  teacher: "any",
  teacherParams: "any",
  test: 'import("../../dist/learn/index.js").Dataset',
  text: "string",
  U: 'ReturnType<typeof import("../../dist/learn/index.js").posterior<any, any>>',
};
/** In these rooms the model is the file as it was read. */
const MODEL_FILE = 'import("../../dist/files/index.js").ModelFile';
const NODE: Readonly<Record<string, string>> = {
  copyFile: "node:fs/promises",
  deflateSync: "node:zlib",
  join: "node:path",
  readFile: "node:fs/promises",
  writeFile: "node:fs/promises",
};

interface Example {
  readonly title: string;
  /** From the root, such as src/noise/index.ts. */
  readonly file: string;
  readonly code: string;
}

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && entry.name !== "generated") yield* sources(path);
    else if (entry.name.endsWith(".ts")) yield relative(ROOT, path).replaceAll("\\", "/");
  }
}

const examples: Example[] = [...sources(join(ROOT, "src"))].flatMap((file) => {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/\/\*\*(?:(?!\*\/)[\s\S])*?@example\n([\s\S]*?)\*\//g)].map((match) => {
    const lines = (match[1] as string).split("\n").map((line) => line.replace(/^\s*\* ?/, ""));
    const next = lines.findIndex((line) => line.startsWith("@"));
    const code = (next < 0 ? lines : lines.slice(0, next))
      .filter((line) => !line.startsWith("import "))
      .join("\n")
      .trim();
    return { title: `${file}:${text.slice(0, match.index).split("\n").length}`, file, code };
  });
});

/** The modules whose exports an example of this file may name; of equal names the first one's. */
function scopeOf(file: string): string[] {
  if (file.startsWith("src/learn/")) return ["src/learn/index.ts", "src/index.ts"];
  if (file === "src/index.web.ts") return ["src/index.web.ts"];
  const room = /^src\/(files|report|compare|evaluate|statistics)\//.exec(file)?.[1]; // no doors lead to all of these
  const doors = ["src/index.ts", "src/index.llama.ts"];
  if (room === undefined) return doors;
  return [file, ...(["report", "statistics"].includes(room) ? [] : [`src/${room}/index.ts`]), ...doors, "src/report/page.ts"];
}

const load = (file: string): Promise<Record<string, unknown>> => import(/* @vite-ignore */ join(ROOT, file));
const named = (code: string, name: string) => new RegExp(`(?<![.\\w])${name}\\b(?!\\s*:)|(?<=\\.\\.\\.)${name}\\b`).test(code);
/** Names that the code itself declares, in patterns too. */
const declares = (code: string, name: string) =>
  new RegExp(`\\b(const|let)\\s+(${name}\\b|[[{][^=]*\\b${name}\\b[^=]*[\\]}]\\s*=)`).test(code);

/** The types in scope that an example names, as a line of imports for each. */
function typesIn({ file, code }: Example): string[] {
  const found = new Map<string, string>();
  for (const from of scopeOf(file))
    for (const [, name] of readFileSync(join(ROOT, from), "utf8").matchAll(/\btype (\w+)/g))
      if (name !== undefined && !found.has(name) && new RegExp(`[:<|] ?${name}\\b`).test(code))
        found.set(name, `import type { ${name} } from "${built(from)}";`);
  return [...found.values()];
}
/** A module of src/ as an example in the scratch folder imports it: as it is built, whose types take half the time to read. */
const built = (file: string) => `../../${file.replace(/^src/, "dist").replace(/ts$/, "js")}`;

/** Which of the names in scope an example uses, with the module that has each. */
async function usedBy({ file, code }: Example): Promise<Map<string, { from: string; value: unknown }>> {
  const used = new Map<string, { from: string; value: unknown }>();
  for (const from of scopeOf(file))
    for (const [name, value] of Object.entries(await load(from)))
      if (!used.has(name) && named(code, name) && !declares(code, name)) used.set(name, { from, value });
  return used;
}

const standIns = (code: string, used: ReadonlyMap<string, unknown>, names = Object.keys(STAND_INS)) =>
  names.filter((name) => !used.has(name) && named(code, name) && !declares(code, name));

describe("examples", () => {
  const scratch = join(ROOT, "build", `examples-${process.pid}`);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  it("are there", () => expect(examples.length).toBeGreaterThan(60));

  it("type-check, and name only what their readers have", async () => {
    mkdirSync(scratch, { recursive: true });
    for (const [i, example] of examples.entries()) {
      const { file, code, title } = example;
      const used = await usedBy(example);
      const imports = [...used].map(([name, { from }]) => `import { ${name} } from "${built(from)}";`);
      const node = Object.entries(NODE).filter(([name]) => named(code, name) && !declares(code, name));
      const given = standIns(code, used).map((name) => {
        const type = name === "model" && file.startsWith("src/files/") ? MODEL_FILE : STAND_INS[name];
        return `declare let ${name}: ${type};`;
      });
      const lines = [
        `// ${title}`,
        ...imports,
        ...typesIn(example),
        ...node.map(([name, from]) => `import { ${name} } from "${from}";`),
        ...given,
        "export async function example() {",
        code,
        "}",
      ];
      writeFileSync(join(scratch, `example-${i}.ts`), lines.join("\n"));
    }
    const config = {
      extends: "../../tsconfig.json",
      compilerOptions: {
        noEmit: true,
        rootDir: "../..",
        noUnusedLocals: false,
        noUncheckedIndexedAccess: false,
      },
      include: ["*.ts"],
    };
    writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "-p", scratch, "--pretty", "false"], { encoding: "utf8" });
    const told = stdout.replace(/^.*example-(\d+)\.ts/gm, (_, i) => (examples[Number(i)] as Example).title);
    expect(told).toBe("");
  });

  /** Rooms of pure functions and bytes in memory. */
  const rooms = /^src\/(errors|noise|lattice|kernels|sampling|statistics|thermostat|learn|index)/;
  const runnable = examples.filter(
    ({ file, code }) => rooms.test(file) && !/\.(gguf|json)"|\bmodel\b|1e6/.test(code) && standIns(code, new Map()).length === 0,
  );
  it.each(runnable)("of $title runs", async (example) => {
    if (example.file.startsWith("src/learn/")) await init();
    const used = await usedBy(example);
    const node = Object.entries(NODE).filter(([name]) => named(example.code, name));
    for (const [name, from] of node) used.set(name, { from, value: (await import(from))[name] });
    // Each expression with a number in its comment is a claim.
    const claims = /^(?!const |let |for |try |catch )(.+); \/\/ (?:Float64Array )?(\[?-?\d.*)$/gm;
    const body = example.code.replace(claims, (_, expression, said) => `$claim(${expression}, ${JSON.stringify(said)});`);
    const { code } = await transform(`async function example() {\n${body}\n}`, { loader: "ts" });
    const claim = (value: unknown, said: string) => {
      const digits = [
        ...(said.split(/[:;]|, within/)[0] as string).matchAll(/-?(Infinity|\d+(\.\d+)?(e-?\d+)?)(?= *([,\]]|$))/g),
      ];
      const numbers = digits.map(([number]) => number);
      const values = typeof value === "number" ? [value] : Array.from(value as ArrayLike<number>).flat(9);
      // What is said in words ("4 ln 2"), and trees of tensors, are for people.
      if (numbers.length === 0 || values.some((x) => typeof x !== "number")) return;
      expect(numbers).toHaveLength(values.length);
      for (const [i, x] of values.entries()) {
        const [digits = "", exponent = "0"] = (numbers[i] as string).split("e");
        const last = 10 ** (Number(exponent) - (digits.split(".")[1]?.length ?? 0)); // what one in the last digit stands for
        if (Number.isFinite(x)) expect(Math.abs(x - Number(numbers[i]))).toBeLessThanOrEqual(0.5001 * last);
        else expect(x).toBe(Number(numbers[i]));
      }
    };
    const log = { log: () => undefined };
    const names = [...used.keys()];
    const run = new Function("$claim", "console", ...names, `${code}\nreturn example();`);
    await run(claim, log, ...names.map((name) => used.get(name)?.value));
  });
  it("run, most of those of pure functions", () => expect(runnable.length).toBeGreaterThan(25));
});
