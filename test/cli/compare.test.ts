// brownian compare as a user meets it: refusals before any work, Ctrl-C that keeps what is done, and going on. Runs what `npm run setup` built.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { commandLine } from "../support/command-line.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const model = (type: string) => fileURLToPath(new URL(`../../models/fairytales-3M-${type}`, import.meta.url));
const folder = scratchFolder();

const { run, start } = commandLine({ BROWNIAN_SCRATCH: folder }, folder);

it("refuses folders that cannot be written, and another model's calibration, before any work", async () => {
  writeFileSync(join(folder, "file"), "");
  mkdirSync(join(folder, "full"));
  writeFileSync(join(folder, "full", "mine"), "");
  const cases = [
    { args: ["-o", "file"], code: 1, message: /file is a file/ },
    { args: ["-o", "full"], code: 1, message: /other files in it \(mine\)/ },
    { args: ["-o", "no/where"], code: 1, message: /make .*no first/ },
    { args: [model("Q6_K.gguf"), "--calibration", model("Q8_0.calibration.json")], code: 2, message: /of another model/ },
    { args: [model("Q6_K.gguf"), "-o", "x"], code: 2, message: /no calibration yet/ },
    { args: ["--resume", "-o", "x"], code: 2, message: /no x\.unfinished\.jsonl to go on with/ },
  ];
  const ends = await Promise.all(cases.map(({ args }) => run("compare", ...args)));
  for (const [i, { code, err }] of ends.entries()) {
    expect(err).toMatch(cases[i]?.message as RegExp);
    expect(code).toBe(cases[i]?.code);
  }
  expect(readFileSync(join(folder, "full", "mine"), "utf8")).toBe("");
});

it("keeps what is done at Ctrl-C, says how to go on, and goes on", async () => {
  const few = [
    "--samples",
    "4",
    "--max-tokens",
    "8",
    "--tune-tokens",
    "8",
    "--tau",
    "1",
    "--levels",
    "0.4",
    "--methods",
    "quenched",
    "--precision",
    "0.5",
    "--precision-nats",
    "0.5",
  ];
  const kept = join(folder, "out.unfinished.jsonl");
  const first = start(["compare", "-o", "out", ...few]);
  while (!(existsSync(kept) && readFileSync(kept, "utf8").includes('"text softmax')) && first.child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  first.child.kill("SIGINT");
  const { code, err } = await first.ended;
  expect(code).toBe(130);
  expect(err).toMatch(/steps are finished and kept in out\.unfinished\.jsonl: go on with --resume/);
  expect((await run("compare", "-o", "out", ...few)).err).toMatch(/go on with --resume, or remove it/);
  expect((await run("compare", "-o", "out", "--resume", "--seed", "5")).err).toMatch(/begun with other seed/);
  const rest = await run("compare", "-o", "out", "--resume", "--json");
  expect(rest.code).toBe(0);
  const printed = JSON.parse(rest.out) as { format: string; points: unknown[] };
  expect(printed.format).toBe("brownian-comparison");
  expect(JSON.parse(readFileSync(join(folder, "out", "results.json"), "utf8"))).toEqual(printed);
  expect(readdirSync(join(folder, "out")).sort()).toEqual(["frontier.svg", "report.html", "results.json"]);
  expect(existsSync(kept)).toBe(false);
});
