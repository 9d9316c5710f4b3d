// Dials of the command line that rest on a measurement: --weight-temperature on a calibration, --scale imatrix on an importance matrix, and
// --uncertainty. Runs what `npm run setup` built.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { significant } from "../../src/report/table.js";
import { type Profile, weightSigma } from "../../src/sampling/index.js";
import { commandLine } from "../support/command-line.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const folder = scratchFolder();
const scratch = join(folder, "scratch");
mkdirSync(scratch);

const { run } = commandLine({ BROWNIAN_SCRATCH: scratch });

async function refused(args: string[], code: number, message: RegExp): Promise<void> {
  const outcome = await run(...args);
  expect(outcome.err).toMatch(message);
  expect(outcome.err).not.toMatch(/\n\s+at /); // no stack traces
  expect(outcome.out).toBe("");
  expect(outcome.code).toBe(code);
  expect(readdirSync(scratch)).toEqual([]);
}

describe("generate --weight-temperature", () => {
  const profile = JSON.parse(readFileSync(q8.replace(".gguf", ".calibration.json"), "utf8")) as Profile;
  const few = ["--max-tokens", "5", "--seed", "1"];

  it("writes with the sigma that the calibration names", async () => {
    const sigma = weightSigma(profile, 0.3);
    const { code, err } = await run("generate", "--weight-temperature", "0.3", ...few);
    expect(code).toBe(0);
    expect(err).toContain(`sigma ${significant(sigma)} is as surprising as softmax at T = 0.3`);
  });

  it("refuses a temperature beyond the breaking point, unless forced", async () => {
    await refused(["generate", "--weight-temperature", "0.7", ...few], 2, /T = 0\.7 without breaking this model: from T = 0\.5/);
    const forced = await run("generate", "--weight-temperature", "0.7", "--force", ...few);
    expect(forced.code).toBe(0);
    expect(forced.err).toMatch(/as surprising as softmax at T = 0\.7/);
  });

  it("refuses another model's calibration", async () => {
    const other = join(folder, "other.gguf");
    const bytes = readFileSync(q8);
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    writeFileSync(other, bytes);
    copyFileSync(q8.replace(".gguf", ".calibration.json"), join(folder, "other.calibration.json"));
    await refused(["generate", "-m", other, "--weight-temperature", "0.3"], 2, /is of another model \(fairytales-3M-Q8_0\.gguf/);
  });
});

it("calibrate refuses an empty text, and writes nothing", async () => {
  const empty = join(folder, "empty.txt");
  writeFileSync(empty, "");
  const output = join(folder, "never.json");
  await refused(["calibrate", q8, "--text", empty, "-o", output], 2, /no token to be expected/);
  expect(readdirSync(folder)).not.toContain("never.json");
});

describe("--scale imatrix", () => {
  // The model's own names and widths, as llama-imatrix would write them.
  const widths = { attn_q: 256, attn_k: 256, attn_v: 256, attn_output: 256, ffn_gate: 256, ffn_up: 256, ffn_down: 512 };
  const f32 = (values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const imatrix = join(folder, "imatrix.gguf");
  writeGguf(
    imatrix,
    Object.entries(widths).flatMap(([role, width]) =>
      [0, 1, 2, 3].flatMap((block) => {
        const name = `blk.${block}.${role}.weight`;
        const sums = Array.from({ length: width }, (_, j) => 512 * (0.1 + (j % 16)));
        return [
          { name: `${name}.in_sum2`, type: "F32", shape: [width, 1], data: f32(sums) },
          { name: `${name}.counts`, type: "F32", shape: [1, 1], data: f32([512]) },
        ];
      }),
    ),
    {
      metadata: {
        "general.type": "imatrix",
        "imatrix.datasets": ["tales.txt"],
        "imatrix.chunk_count": 1,
        "imatrix.chunk_size": 512,
      },
    },
  );

  it("moves by column what the importance matrix has, and says what goes by RMS", async () => {
    const few = ["--sigma", "0.05", "--seed", "1", "--max-tokens", "30"];
    const byColumn = await run("generate", "--scale", "imatrix", "--imatrix", imatrix, ...few);
    expect(byColumn.code).toBe(0);
    expect(byColumn.err).toMatch(/imatrix: 28 of \d+ tensors by column; by RMS: output_norm\.weight, token_embd\.weight, /);
    const out = join(folder, "moved.gguf");
    const perturbed = await run("perturb", q8, "-o", out, "-s", "0.05", "--scale", "imatrix", "--imatrix", imatrix, "--json");
    const { tensors } = JSON.parse(perturbed.out) as { tensors: { name: string; byColumn: boolean }[] };
    expect(tensors.filter((tensor) => tensor.byColumn)).toHaveLength(28);
  });

  it("refuses what is missing or wrong before any work", async () => {
    await refused(["generate", "--imatrix", imatrix], 2, /is for the scale imatrix/);
    await refused(["generate", "--scale", "imatrix", "--imatrix", q8], 2, /is no importance matrix/);
  });
});

describe("generate --uncertainty", () => {
  it("writes the clean text and its entropies as JSON", async () => {
    const few = ["--max-tokens", "8", "--seed", "1"];
    const { out } = await run("generate", "--uncertainty", "--members", "2", "--json", ...few);
    const [text] = (JSON.parse(out) as { texts: { text: string; members: number; tokens: Record<string, number>[] }[] }).texts;
    expect(text?.text).toMatch(/^ there was a great many of /);
    expect(text?.members).toBe(2);
    expect(text?.tokens).toHaveLength(8);
    for (const token of text?.tokens ?? [])
      expect((token.total as number) - (token.expected as number)).toBeCloseTo(token.information as number, 10);
  });

  it("refuses what does not go with it", async () => {
    await refused(["generate", "--uncertainty", "--dynamics", "white"], 2, /leave out --dynamics/);
  });
});
