// brownian serve and chat as processes: addresses, ends, and what is left behind. Runs what `npm run setup` built.
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { commandLine } from "../support/command-line.js";
import { liveCopies } from "../support/live-copies.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED the server as a process: ${why}`);

const folder = scratchFolder();
const scratch = join(folder, "scratch");
mkdirSync(scratch);
const template = join(folder, "template.jinja");
writeFileSync(template, "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}<s>");

const line = commandLine({ BROWNIAN_SCRATCH: scratch });
function start(...args: string[]) {
  const { child, ended: whole } = line.start(args);
  const said: string[] = [];
  const lines = createInterface({ input: child.stderr as Readable });
  lines.on("line", (line) => said.push(line));
  const url = new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const found = / at (http:\S+)$/.exec(line)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("close", () => reject(new Error(`it ended before it served: ${said.join("\n")}`)));
  });
  url.catch(() => undefined); // where nobody asks for it
  const ended = whole.then(({ code, err }) => ({ code, said: err }));
  return { child, url, ended };
}

const serving = (...args: string[]) => start("serve", "--port", "0", "--chat-template", template, ...args);
const chat = (url: string, more: object = {}) =>
  fetch(`${url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: "A king?" }], max_tokens: 5, ...more }),
  });
/** Not where Windows ends processes without asking them. */
const signals = process.platform !== "win32";

it.skipIf(!signals || why !== undefined)(
  "serves until it is asked to end, with exit code 0, and leaves nothing behind",
  async () => {
    const { child, url, ended } = serving("--sigma", "0.1", "--dynamics", "andersen");
    const response = await chat(await url);
    expect(response.status).toBe(200);
    expect(liveCopies(scratch, child.pid)).toHaveLength(1);
    child.kill("SIGTERM");
    const { code, said } = await ended;
    expect(code).toBe(0);
    expect(said).toMatch(/andersen moves weights at every token/);
    expect(said).not.toContain("interrupted");
    expect(readdirSync(scratch)).toEqual([]);
  },
);

it.skipIf(!signals || why !== undefined)("a killed server leaves nothing on Linux; elsewhere the next one sweeps", async () => {
  const first = serving();
  await first.url;
  const [copy] = liveCopies(scratch, first.child.pid);
  first.child.kill("SIGKILL");
  await first.ended;
  expect(readdirSync(scratch)).toEqual(process.platform === "linux" ? [] : [basename(copy as string)]);
  const second = serving();
  await second.url;
  expect(liveCopies(scratch, second.child.pid)).toHaveLength(1);
  expect(liveCopies(scratch, second.child.pid)).not.toEqual([copy]);
  second.child.kill("SIGTERM");
  await second.ended;
  expect(readdirSync(scratch)).toEqual([]);
});

it.skipIf(why !== undefined)("takes weight_temperature from the model's calibration", async () => {
  const { child, url, ended } = serving();
  const base = await url;
  expect((await chat(base, { weight_temperature: 0.3 })).status).toBe(200);
  const tooHot = await chat(base, { weight_temperature: 50 });
  expect(tooHot.status).toBe(400);
  child.kill("SIGTERM");
  await ended;
});

it.each<[string, string[], RegExp]>([
  ["another host without a key", ["--host", "0.0.0.0"], /--api-key/],
  ["no template", ["--chat-template", join(folder, "none")], /none/],
  ["no places", ["--parallel", "0"], /--parallel/],
  ["a default that there is not", ["--dynamics", "x"], /quenched/],
])("is refused with %s", async (_, args, message) => {
  const { code, err } = await line.run("serve", "--port", "0", ...args);
  expect(code).toBeGreaterThan(0);
  expect(err).toMatch(message);
  expect(readdirSync(scratch)).toEqual([]);
});

/** What a chat answers to lines. */
function talked(child: ChildProcess, ...lines: string[]) {
  let out = "";
  child.stdout?.on("data", (chunk) => (out += chunk));
  child.stdin?.end(`${lines.join("\n")}\n`);
  return () => out;
}

it.skipIf(why !== undefined)("chats line by line from a pipe, and ends with it", async () => {
  const run = start("chat", "--chat-template", template, "--max-tokens", "6", "--seed", "3");
  const out = talked(run.child, "A king?", "/sigma x", "/again", "/exit", "never said");
  const { code, said } = await run.ended;
  expect(code).toBe(0);
  expect(out().trim().split("\n").length).toBeGreaterThanOrEqual(2);
  expect(said).toMatch(/seed 3[\s\S]*\/sigma must be[\s\S]*seed 4/);
  expect(said).not.toContain("seed 5");
});

it.skipIf(why !== undefined)("answers one question, with a system's words", async () => {
  const { code, out } = await line.run(
    "generate",
    "--chat",
    "A king?",
    "--system",
    "Be brief.",
    "--chat-template",
    template,
    "--max-tokens",
    "6",
    "--seed",
    "1",
  );
  expect(code).toBe(0);
  expect(out.trim()).not.toBe("");
  expect(out).not.toContain("A king?");
  const refusals = [
    ["generate", "x", "--chat", "y"],
    ["generate", "--system", "y"],
    ["generate", "--chat", "y"],
  ];
  const said = await Promise.all(refusals.map(async (args) => (await line.run(...args)).err));
  expect(said[0]).toMatch(/not both/);
  expect(said[1]).toMatch(/give --chat as well/);
  expect(said[2]).toMatch(/has no chat template/);
});
