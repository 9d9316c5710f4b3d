// Searches from the command line: a report, a log that a kill does not harm, and the model made again.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commandLine } from "../support/command-line.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (name: string) =>
  createHash("sha256")
    .update(readFileSync(file(name)))
    .digest("hex");
const lines = ["king", "wolf", "bear", "fox", "girl", "boy"].map((who) =>
  JSON.stringify({ prompt: `The ${who} was very`, answer: " old" }),
);
writeFileSync(file("task.jsonl"), lines.join("\n"));

const { run, start } = commandLine({ BROWNIAN_SCRATCH: folder });
const search = ["--task", file("task.jsonl"), "--sigma", "0.05", "--population", "4", "--batch", "3", "--text-tokens", "64"];

it("brownian evolve reports what was learned and lost, and goes on after kill -9; --replay and evolve-log read its log", async () => {
  const whole = await run(
    "evolve",
    ...search,
    "--generations",
    "3",
    "--log",
    file("whole.jsonl"),
    "-o",
    file("whole.gguf"),
    "--controls",
    "--report",
    file("report.html"),
  );
  expect(whole.err).toContain("whole.gguf is the model");
  expect(whole.code).toBe(0);
  for (const said of [
    /^before +-\d/m,
    /^after +-\d/m,
    /^rewards shuffled +-\d/m,
    /^best of as many +-\d/m,
    /NLL of the text/,
    /3 generations/,
  ])
    expect(whole.out).toMatch(said);

  const page = readFileSync(file("report.html"), "utf8");
  for (const said of ["fairytales-3M-Q8_0, evolved", "rewards shuffled", "Rewards by generation", "<svg"])
    expect(page).toContain(said);

  const log = file("killed.jsonl");
  const many = start(["evolve", ...search, "--generations", "1000", "--log", log]);
  const generations = () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").length - 2 : 0);
  while (generations() < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  many.child.kill("SIGKILL");
  await many.ended;
  // However far it came, the model is that of as many generations at once.
  const came = String(Math.max(3, generations() + 1));
  const rest = await run("evolve", ...search, "--generations", came, "--log", log, "-o", file("rest.gguf"), "--json");
  expect(rest.code).toBe(0);
  expect((JSON.parse(rest.out) as { generations: number }).generations).toBe(Number(came));
  expect((await run("evolve", "--replay", log, "--at", "3", "-o", file("again.gguf"))).code).toBe(0);
  expect(hash("again.gguf")).toBe(hash("whole.gguf"));

  const listed = await run("evolve-log", log, file("whole.jsonl"));
  expect(listed.out).toMatch(/killed\.jsonl +fairytales-3M-Q8_0\.gguf/);
  expect(listed.out).toContain("All were told the same.");
  expect((await run("evolve-log", log, "--cut", "1", "-o", file("cut.jsonl"))).code).toBe(0);
  expect(readFileSync(file("cut.jsonl"), "utf8").trim().split("\n")).toHaveLength(2);
});

it("makes the same bytes on WebAssembly, which reads and writes files instead of mapping them", async () => {
  const native = run("evolve", "--replay", file("killed.jsonl"), "--at", "1", "-o", file("first.gguf"));
  const anew = ["evolve", ...search, "--generations", "1", "-o", file("wasm.gguf")];
  const { code, err } = await start(anew, { env: { BROWNIAN_BACKEND: "wasm" } }).ended;
  expect([code, err]).toEqual([0, expect.stringContaining("is the model")]);
  expect((await native).code).toBe(0);
  expect(hash("wasm.gguf")).toBe(hash("first.gguf"));
});

it("refuses by name", async () => {
  const none = await run("evolve", "-o", file("x.gguf"));
  expect([none.code, none.err]).toEqual([2, expect.stringContaining("evolve needs --task")]);
  const other = await run("anneal", ...search.slice(0, 2), "--reward-command", "exit 1", "--generations", "1");
  expect([other.code, other.err]).toEqual([1, expect.stringContaining("The reward command ended before it answered")]);
});

it("brownian evolve-adapter goes on from its log, makes its adapter again, and says which options cannot act", async () => {
  const [log, output, again] = [file("adapter.jsonl"), file("adapter.gguf"), file("adapter-again.gguf")];
  const told = ["--task", file("task.jsonl"), "--directions", "2", "--batch", "2", "--text-tokens", "16", "--log", log];
  const first = await run("evolve-adapter", ...told, "--generations", "1", "--deadline", "3", "--format", "gguf");
  expect([first.code, first.out]).toEqual([0, expect.stringContaining("1 generations, each of which moved the search")]);
  expect(first.err).toContain("--deadline: no effect without --endpoint");
  expect(first.err).toContain("--format: no effect without -o");
  const rest = await run("evolve-adapter", ...told, "--generations", "2", "-o", output);
  expect([rest.code, rest.out]).toEqual([0, expect.stringMatching(/^6 readings in/m)]);
  const replayed = await run("evolve-adapter", "--replay", log, "-o", again, "--rank", "2");
  expect([replayed.code, replayed.out]).toEqual([0, expect.stringContaining("after 2 generations of")]);
  expect(replayed.err).toContain("--rank: no effect with --replay, where all is in the log");
  expect(hash("adapter-again.gguf")).toBe(hash("adapter.gguf"));
  const listed = await run("evolve-log", log);
  expect(listed.out).toMatch(/adapter +2/);
});
