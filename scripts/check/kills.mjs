// npm run trial:kills: 300 times, at a random moment of a process that writes a text, a moved file, ticks or restores, the process is ended by a
// signal, or its model is cut short, written over or exchanged. No process may end by a signal that was not sent; what comes out is what an undisturbed
// one gives (of the model before or after), or an error with words; and nothing is left behind: at once, or, after a kill, by the next process. Takes
// --times N, --seed N. Prints figures; exit code 1 where something does not hold.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { perturbFile } from "../../dist/thermostat/index.js";
import { withVariables } from "../environment.mjs";
import { dice } from "./mutations.mjs";

const { values } = parseArgs({
  options: { times: { type: "string", default: "300" }, seed: { type: "string", default: "1" } },
});
const [times, seed] = [values.times, values.seed].map(Number);

const SHIPPED = resolve("models/fairytales-3M-Q8_0.gguf");
const CLI = resolve("dist/cli/main.js");
const folder = mkdtempSync(join(tmpdir(), "brownian-trial-"));
const place = (name) => join(folder, name);
const [model, other, scratch, outputs] = ["model.gguf", "other.gguf", "scratch", "outputs"].map(place);
const moved = join(outputs, "moved.gguf");
mkdirSync(scratch);
mkdirSync(outputs);
const env = withVariables({
  NO_COLOR: "1",
  BROWNIAN_SCRATCH: scratch,
  BROWNIAN_CACHE: place("cache"),
  BROWNIAN_THREADS: "1",
});

const thermostat = (work) => `
  const { Thermostat } = await import(${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)});
  const { readFileSync } = await import("node:fs");
  const { createHash } = await import("node:crypto");
  const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
  try {
    const bath = await Thermostat.open(${JSON.stringify(model)}, { sigma: 0.05, seed: 1n, dynamics: "andersen", tau: 8 });
    ${work}
    await bath.close();
  } catch (error) {
    console.error(error.code === undefined ? error : "error: " + error.message);
    process.exitCode = error.code === undefined ? 9 : 1;
  }`;

/** What a process does, and what comes out of it. */
const WORKS = {
  generate: {
    args: [
      CLI,
      "generate",
      "-m",
      model,
      "-s",
      "0.05",
      "--seed",
      "1",
      "-d",
      "andersen",
      "--tau",
      "8",
      "--max-tokens",
      "120",
      "Once",
    ],
    result: (stdout) => stdout,
  },
  perturb: {
    args: [CLI, "perturb", model, "-o", moved, "-s", "0.05", "--seed", "1"],
    result: () => (existsSync(moved) ? hash(readFileSync(moved)) : "none"),
  },
  ticks: {
    args: [
      "--input-type=module",
      "-e",
      thermostat("for (let i = 0; i < 300; i++) await bath.tick(); console.log(hash(bath.livePath));"),
    ],
    result: (stdout) => stdout,
  },
  restore: {
    args: [
      "--input-type=module",
      "-e",
      thermostat(
        "for (let i = 0; i < 40; i++) { await bath.tick(); await bath.restore(); } console.log(hash(bath.livePath), (await bath.draw(3)).changed);",
      ),
    ],
    result: (stdout) => stdout,
  },
};

const SIGNALS = ["SIGKILL", "SIGTERM", "SIGINT"];
/** What becomes of the model, while it is in use or before. */
const CHANGES = {
  "cut short": (random) => truncateSync(model, random.below(readFileSync(model).length)),
  emptied: () => truncateSync(model, 0),
  "written over": () => {
    const file = openSync(model, "r+");
    writeSync(file, readFileSync(other));
    closeSync(file);
  },
  "copied over": () => copyFileSync(other, model),
  exchanged: () => {
    copyFileSync(other, place("new"));
    renameSync(place("new"), model);
  },
  removed: () => rmSync(model),
};

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Runs a work until it ends, with `event` at that moment (ms); resolves to how it ended and what came out. */
async function run(name, moment, event = () => undefined) {
  const { args, result } = WORKS[name];
  const began = performance.now();
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  let over = false;
  const ended = new Promise((end) =>
    child.once("close", (status, signal) => {
      over = true;
      end(signal ?? status);
    }),
  );
  if (moment !== undefined) await Promise.race([sleep(moment), ended]);
  const late = over;
  event(child);
  const how = await ended;
  return { how, late, stderr, out: result(stdout), took: performance.now() - began };
}

const left = () => [...readdirSync(scratch), ...readdirSync(outputs).filter((name) => name !== "moved.gguf")];
const fresh = () => {
  copyFileSync(SHIPPED, model);
  rmSync(moved, { force: true });
};

const failures = [];
const must = (holds, what) => {
  if (!holds) failures.push(what);
};
const outcomes = new Map();
const count = (what) => outcomes.set(what, (outcomes.get(what) ?? 0) + 1);

/** What undisturbed works give, of both models, and how long they take. */
async function references() {
  await perturbFile(SHIPPED, other, { sigma: 0.2, seed: 9n });
  const known = {};
  for (const name of Object.keys(WORKS)) {
    const right = new Set();
    let span = 0;
    for (const source of [other, SHIPPED]) {
      copyFileSync(source, model);
      rmSync(moved, { force: true });
      const { how, out, took, stderr } = await run(name);
      if (how !== 0) throw new Error(`${name} ended with ${how}: ${stderr}`);
      right.add(out);
      span = Math.max(span, took);
    }
    known[name] = { right, span };
  }
  return known;
}

async function signalled(name, { right, span }, signal, random) {
  fresh();
  const moment = random.below(span);
  const { how, late, out, stderr } = await run(name, moment, (child) => child.kill(signal));
  const which = `${name}, ${signal} after ${moment} ms`;
  const ended = [signal, 130, 143, 1].includes(how); // the command line ends by itself when it is asked to
  must(ended || how === 0, `${which}: ended with ${how}: ${stderr.slice(-300)}`);
  if (how === 0) must(right.has(out), `${which}: another result`);
  const whole = name !== "perturb" || out === "none" || right.has(out);
  must(whole, `${which}: half an output`);
  const there = left();
  if (signal === "SIGKILL")
    count(there.length > 0 ? "kills that left something for the next to remove" : "kills that left nothing");
  else must(there.length === 0, `${which}: left ${there}`);
  count(late ? "signals after the end" : "signals in time");
  must(hash(readFileSync(model)) === hash(readFileSync(SHIPPED)), `${which}: the model was written to`);
}

async function changed(name, { right, span }, change, random) {
  fresh();
  const moment = random.below(span);
  const { how, late, out, stderr } = await run(name, moment, () => CHANGES[change](random));
  const which = `${name}, model ${change} after ${moment} ms`;
  must(how === 0 || how === 1, `${which}: ended with ${how}: ${stderr.slice(-300)}`);
  if (how === 0) must(right.has(out), `${which}: another result`);
  else must(/^error: /m.test(stderr), `${which}: no words: ${stderr.slice(-300)}`);
  const there = left();
  must(there.length === 0, `${which}: left ${there}`);
  count(late ? "changes after the end" : how === 0 ? "changes that did no harm" : "changes that were errors");
}

try {
  const known = await references();
  const names = Object.keys(WORKS);
  const events = [...SIGNALS, ...Object.keys(CHANGES)];
  for (let i = 0; i < times; i++) {
    const random = dice(seed * 1e6 + i);
    const name = names[i % names.length];
    const event = random.pick(events);
    if (SIGNALS.includes(event)) {
      await signalled(name, known[name], event, random);
      if (event !== "SIGKILL" || left().length === 0) continue;
      fresh();
      for (const next of ["perturb", "restore"]) await run(next);
      must(left().length === 0, `${name}, SIGKILL: the next process left ${left()}`);
    } else await changed(name, known[name], event, random);
  }
  const spans = names.map((name) => `${name} ${Math.round(known[name].span)} ms`).join(", ");
  console.log(`${times} events (undisturbed: ${spans}): ${[...outcomes].map(([what, n]) => `${n} ${what}`).join(", ")}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
