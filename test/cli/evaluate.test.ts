// brownian tasks, eval and audit as a user meets them: questions on stdout, refusals before any work, Ctrl-C that keeps what is done, going on, and the
// scale that reads an audit. Runs what `npm run setup` built.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import type { Evaluation } from "../../src/evaluate/index.js";
import { commandLine } from "../support/command-line.js";
import { FakeServer } from "../support/fake-servers.js";
import { folderOfMembers } from "../support/members.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED eval and audit: ${why}`);

const folder = scratchFolder();

const { run, start } = commandLine({ BROWNIAN_SCRATCH: folder }, folder);

it("makes questions, and refuses what cannot be a task, before any work", async () => {
  writeFileSync(join(folder, "bad.jsonl"), '{"prompt": "x", "answer": "y"}\n{"prompt": 3, "answer": "y"}\n');
  mkdirSync(join(folder, "full"));
  writeFileSync(join(folder, "full", "mine"), "");
  const [made, ...refused] = await Promise.all([
    run("tasks", "arithmetic", "--questions", "3", "--seed", "2"),
    run("tasks", "history"),
    run("tasks", "countries"),
    run("eval", "--task", "bad.jsonl", "-o", "x"),
    run("eval", "--task", "none.jsonl", "-o", "x"),
    run("eval", "-o", "full"),
    run("audit", "--resume", "-o", "x"),
  ]);
  expect(made?.out.trim().split("\n")).toHaveLength(3);
  expect(JSON.parse(made?.out.split("\n")[0] as string)).toMatchObject({ match: "number" });
  const expected: [RegExp, number][] = [
    [/Allowed choices are arithmetic/, 2],
    [/--from/, 2],
    [/bad\.jsonl, line 2: prompt must be a text/, 2],
    [/none\.jsonl/, 1],
    [/other files in it \(mine\)/, 1],
    [/no x\.unfinished\.jsonl to go on with/, 2],
  ];
  for (const [i, [message, code]] of expected.entries()) {
    expect(refused[i]?.err).toMatch(message);
    expect(refused[i]?.code).toBe(code);
  }
});

it("refuses settings before it loads a model, which may take minutes", async () => {
  writeFileSync(join(folder, "none.gguf"), "no model at all"); // who loads it says so
  const refused = await Promise.all([
    run("eval", "none.gguf", "--levels", "99", "-o", "x"),
    run("eval", "none.gguf", "--draws", "1", "-o", "x"),
    run("audit", "none.gguf", "--sigmas", "0.1", "-o", "x"),
    run("audit", "none.gguf", "--seeds", "0", "-o", "x"),
    run("calibrate", "none.gguf", "--draws", "1", "-o", "x.json"),
    run("compare", "--samples", "1", "-o", "x", "--scratch", "none"),
  ]);
  const expected = [
    /^error: levels /m,
    /^error: draws /m,
    /^error: sigmas /m,
    /^error: seeds /m,
    /^error: draws /m,
    /^error: samples /m,
  ];
  for (const [i, message] of expected.entries()) {
    expect(refused[i]?.err).toMatch(message);
    expect(refused[i]?.code).toBe(2);
  }
  const { err } = await run("eval", "none.gguf", "-o", "x");
  expect(err).toMatch(/none\.gguf/);
});

it("evaluates what servers answer, without an engine, and says which options cannot act", async () => {
  const { adapters, paths } = folderOfMembers(join(folder, "members"), { members: 3, sigma: [0.1] });
  const fake = await FakeServer.start("llama-server", { adapters: paths });
  fake.probability = () => 0.7;
  fake.answer = (called) => (called.includes("clean") ? " 4 it is" : " 5");
  const few = ["--questions", "4", "--tune-questions", "4", "-n", "2", "--levels", "0.3", "--seed", "1"];
  const at = ["--endpoint", fake.url, "--adapters", adapters];
  const [done, ...refused] = await Promise.all([
    run("eval", "--task", "arithmetic", ...at, ...few, "--threads", "1", "--tau", "8", "-o", "served", "--json"),
    run("eval", "--endpoint", fake.url, "-o", "x"),
    run("eval", "model.gguf", ...at, "-o", "x"),
    run("eval", "--methods", "members", "--deadline", "3", "-o", "x"),
  ]);
  expect([done?.err, done?.code]).toEqual([expect.stringContaining("--threads, --tau: no effect with --endpoint"), 0]);
  const { settings, points } = JSON.parse(done?.out as string);
  expect(settings).toMatchObject({
    methods: ["greedy", "softmax", "members"],
    served: { members: 3, servers: ["llama-server"] },
  });
  expect(points).toHaveLength(3);
  expect(readFileSync(join(folder, "served", "report.html"), "utf8")).toContain("Servers answered (llama-server)");
  const expected = [
    /--endpoint needs the members/,
    /the model is that of the servers/,
    /--deadline: no effect without --endpoint/,
  ];
  for (const [i, message] of expected.entries()) expect(refused[i]?.err).toMatch(message);
});

it.skipIf(why !== undefined)("keeps what is done at Ctrl-C, says how to go on, and goes on", async () => {
  const few = ["eval", "--quick", "--questions", "6", "--tune-questions", "4", "-n", "4", "--levels", "0.3", "--max-tokens", "8"];
  const kept = join(folder, "out.unfinished.jsonl");
  const first = start([...few, "-o", "out"]);
  while (!(existsSync(kept) && readFileSync(kept, "utf8").includes('["answers test at rest')) && first.child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  first.child.kill("SIGINT");
  const { code, err } = await first.ended;
  expect(code).toBe(130);
  expect(err).toMatch(/On 6 questions, the smallest difference/);
  expect(err).toMatch(/steps are finished and kept in out\.unfinished\.jsonl: go on with --resume/);
  expect((await run(...few, "-o", "out", "--resume", "--seed", "5")).err).toMatch(/begun with other .*seed/);
  // That the numbers are those of a run in one go: test/evaluate/run.test.ts. Here: what was kept is not asked again, which would take another time.
  const greedy = readFileSync(kept, "utf8")
    .split("\n")
    .find((line) => line.startsWith('["answers test at rest'));
  const rest = await run(...few, "-o", "out", "--resume", "--json");
  expect(rest.code).toBe(0);
  const { points } = JSON.parse(rest.out) as Evaluation;
  expect(greedy).toContain(`"seconds":${points.find(({ method }) => method === "greedy")?.cost.seconds}`);
  expect(JSON.parse(rest.out)).toEqual(JSON.parse(readFileSync(join(folder, "out", "results.json"), "utf8")));
  expect(readdirSync(join(folder, "out")).sort()).toEqual(["report.html", "results.json"]);
  expect(existsSync(kept)).toBe(false);
});

it.skipIf(why !== undefined)("audits, and moves weights by the audit", async () => {
  const quick = ["--max-tokens", "32", "--sigmas", "0.1,0.2", "--draws", "1", "--sigma", "0.1"];
  const { code, out } = await run("audit", ...quick, "-o", "audit");
  expect(code).toBe(0);
  expect(out).toMatch(/KL by σ² and million weights/);
  const moved = ["generate", "Once", "--max-tokens", "3", "--seed", "1", "--sigma", "0.05", "--scale", "fragility"];
  const [by, without] = await Promise.all([run(...moved, "--audit", "audit/results.json"), run(...moved)]);
  expect(by.code).toBe(0);
  expect(without.code).toBe(2);
  expect(without.err).toMatch(/made by brownian audit/);
});
