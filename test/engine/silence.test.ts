// What engines say goes to our log, and from there into errors: nothing of it reaches the terminal, whatever happens.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeTransformer } from "../../scripts/check/small-models.mjs";
import { ENGINES } from "../../src/engine/engines.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const scratch = scratchFolder();
const good = resolve("models/fairytales-3M-Q8_0.gguf");
const [refused, aborts] = ["refused", "aborts"].map((name) => join(scratch, `${name}.gguf`)) as [string, string];
type Entry = [key: string, kind: string, value: unknown];

beforeAll(async () => {
  await writeTransformer(refused, { change: (m: Entry[]) => m.filter(([key]) => key !== "llama.embedding_length") });
  const twice = (m: Entry[]) =>
    m.map(([k, kind, v]) => [k, kind, k.endsWith(".tokens") ? (v as string[]).map((_, i) => `t${i >> 1}`) : v]);
  await writeTransformer(aborts, { change: twice });
});

/** Runs a program of a process of its own, with the engine of the built package; resolves to all that it writes. */
function said(body: string, engine: string): { stdout: string; stderr: string; status: number | null } {
  const from = (path: string) => JSON.stringify(resolve("dist", path));
  const program = `
    const { loadModel } = await import(${from("llama/index.js")});
    const { ENGINES } = await import(${from("engine/engines.js")});
    const [engine, scratch, ...paths] = process.argv.slice(2);
    ${body}`;
  // A file: node-llama-cpp starts processes of its own with what this one was started with.
  const file = join(scratch, "program.mjs");
  writeFileSync(file, program);
  return spawnSync(process.execPath, [file, engine, scratch, good, refused, aborts], { encoding: "utf8" });
}
const silent = { stdout: "", stderr: "", status: 0 };

describe.each(Object.keys(ENGINES) as (keyof typeof ENGINES)[])("%s", (engine) => {
  const why = ENGINES[engine].whyNot();
  if (why !== undefined) console.warn(`SKIPPED the silence of ${engine}: ${why}`);

  it.skipIf(why !== undefined)("is silent when it loads, writes, is probed, fails in a text, refuses files and ends", () => {
    const body = `
      const [good, refused, aborts] = paths;
      const load = (path) => loadModel(path, { threads: 1, engine, scratch });
      const model = await load(good);
      await model.complete("Once upon", { maxTokens: 4 });
      await model.complete("Once upon", { maxTokens: 4, sigma: 1e30, scale: "absolute" }).catch(() => {});
      await model.probe();
      await model.dispose();
      // Behind the fence, and without.
      const codes = [];
      await load(refused).catch(({ code }) => codes.push(code));
      await ENGINES[engine].load(refused, "m", { threads: 1 }).catch(({ code }) => codes.push(code));
      if (String(codes) !== "engine-failed,engine-failed") throw new Error(String(codes));
      // Its last words are in the error alone.
      const error = await load(aborts).catch((error) => error);
      if (!/GGML_ASSERT/.test(error.message)) throw error;`;
    expect(said(body, engine)).toMatchObject(silent);
  });
});
