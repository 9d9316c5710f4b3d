// The dice's flags on the command line. Runs what `npm run setup` built.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { commandLine } from "../support/command-line.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const grammarFile = join(folder, "answer.gbnf");

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED flags of samplers: ${why}`);

const line = commandLine({ BROWNIAN_SCRATCH: folder });
const run = (...args: string[]) => line.run("generate", ...args, "--seed", "1", "--sigma", "0");

interface Written {
  readonly text: string;
  readonly ids: readonly number[];
  readonly tokens: number;
  readonly stop: string;
  readonly stopString?: string;
}
const json = async (...args: string[]) => (JSON.parse((await run(...args, "--json")).out) as { texts: [Written] }).texts[0];

describe.skipIf(why !== undefined)("brownian generate", () => {
  it("keeps to a JSON schema", async () => {
    const schema = join(folder, "schema.json");
    const asked = { type: "object", properties: { king: { enum: ["Arthur", "Lear"] } }, required: ["king"] };
    writeFileSync(schema, JSON.stringify(asked));
    const { text } = await json("--json-schema", schema, "--max-tokens", "40");
    expect(["Arthur", "Lear"]).toContain((JSON.parse(text) as { king: string }).king);
    writeFileSync(schema, "{");
    const [broken, two] = await Promise.all([
      run("--json-schema", schema),
      run("--json-schema", schema, "--grammar", 'root ::= "a"'),
    ]);
    expect([broken.code, two.code]).toEqual([2, 2]);
    expect(broken.err).toMatch(/schema.json is no JSON/);
    expect(two.err).toMatch(/one of --grammar/);
  });

  it("stops where it is told to, and --json has token ids and the reason", async () => {
    const whole = await json("--max-tokens", "12");
    expect(whole).toMatchObject({ tokens: 12, stop: "length", text: expect.stringMatching(/^ there was a great many/) });
    expect(whole.ids).toHaveLength(12);
    const cut = await json("--max-tokens", "12", "--stop", "xyz", "--stop", "eat ma");
    expect(cut).toMatchObject({ text: " there was a gr", stop: "stop", stopString: "eat ma" });
    expect(whole.ids.slice(0, cut.tokens)).toEqual(cut.ids);
    expect((await run("--stop", "eat ma")).err).toContain('stopped before "eat ma"');
  });

  it("takes biases by token and text, penalties, and grammars from files", async () => {
    const [first] = (await json("--max-tokens", "1")).ids as [number];
    expect((await json("--max-tokens", "1", "--logit-bias", `${first}=-inf`)).ids).not.toContain(first);
    expect((await json("--max-tokens", "1", "--logit-bias", " king=100")).text).toBe(" king");
    const plain = await json("--max-tokens", "40");
    expect((await json("--max-tokens", "40", "--repeat-penalty", "1.3", "--repeat-last-n", "-1")).ids).not.toEqual(plain.ids);
    writeFileSync(grammarFile, 'root ::= " yes" | " no"\n');
    expect((await json("--grammar-file", grammarFile)).text).toMatch(/^ (yes|no)$/);
    expect(await run("--grammar-file", `${grammarFile}.not`)).toMatchObject({
      code: 1,
      err: expect.stringContaining(`${grammarFile}.not`),
    });
  });

  it("says which flags do nothing, and refuses what cannot be", async () => {
    const silent = await run("--max-tokens", "2", "--top-k", "40", "--min-p", "0.1");
    expect(silent).toMatchObject({ code: 0, err: expect.stringMatching(/--top-k, --min-p: no effect at temperature 0/) });
    expect((await run("--max-tokens", "2", "--top-k", "40", "-t", "1")).err).not.toContain("no effect");
    expect(await run("--mirostat", "2")).toMatchObject({ code: 2, err: expect.stringContaining("give a temperature") });
    expect(await run("--logit-bias", "king")).toMatchObject({ code: 2, err: expect.stringContaining("token=bias") });
  });
});
