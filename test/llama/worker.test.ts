// A model in a worker thread that is ended amid a text: the process lives, goes on writing, and no live copy stays.
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { scratchFolder } from "../support/synthetic-gguf.js";

const q8 = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const llama = new URL("../../dist/llama/index.js", import.meta.url).href;
const folder = scratchFolder();

/** What the worker does: it writes without end, or one short text. */
const WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  (async () => {
    const { loadModel } = await import(workerData.llama);
    const model = await loadModel(workerData.model, { scratch: workerData.scratch, threads: 1, engine: workerData.engine });
    const options = { sigma: 0.05, seed: 1n, dynamics: workerData.dynamics };
    if (workerData.endless) {
      let n = 0;
      for await (const _ of model.generate("Once", { ...options, maxTokens: 200, endless: true })) if (++n === 4) parentPort.postMessage("writing");
    } else {
      parentPort.postMessage((await model.complete("Once upon", { ...options, maxTokens: 6 })).text);
      await model.dispose();
    }
  })();`;

const MAIN = `
  const { Worker } = require("node:worker_threads");
  const [worker, data] = [process.argv[1], JSON.parse(process.argv[2])];
  const run = (endless, after) => new Promise((resolve, reject) => {
    const thread = new Worker(worker, { eval: true, workerData: { ...data, endless } });
    let said;
    thread.on("message", (message) => {
      said = message;
      if (endless) setTimeout(() => thread.terminate(), after);
    });
    thread.on("error", reject);
    thread.on("exit", () => resolve(said));
  });
  (async () => {
    const texts = [await run(false)];
    texts.push(await run(true, data.after));
    texts.push(await run(false));
    console.log(JSON.stringify(texts));
  })();`;

it.each([
  ["andersen", 0],
  ["langevin", 7],
])("%s, terminated amid a text, after %i ms", async (dynamics, after) => {
  const scratch = join(folder, dynamics);
  mkdirSync(scratch);
  const data = JSON.stringify({ llama, model: q8, scratch, dynamics, after });
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", MAIN, WORKER, data]);
  const [first, ended, last] = JSON.parse(stdout) as string[];
  expect(ended).toBe("writing");
  expect(last).toBe(first);
  expect(readdirSync(scratch)).toEqual([]);
});
