// One measurement of scale.mjs, in a process of its own: prints { seconds } of the task that it is given, and of ticks { work }: processor time of all
// threads a tick, what is made ready between two of them among it.

import { spawnSync } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { perturbFile, Thermostat } from "../dist/index.js";

/** An engine takes as long for a token of such a model. */
const BETWEEN_TICKS = 60;
const task = JSON.parse(process.argv[2]);

const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};
const measured = async (work) => ({ seconds: await seconds(work) });

async function ticks({ model, folder, ticks, settings }) {
  const bath = await Thermostat.open(model, { ...settings, seed: 1n, scratch: folder });
  await bath.tick(); // what is made once: sigmas, plans, the index of steps
  await bath.tick();
  const times = [];
  const before = process.cpuUsage();
  for (let tick = 0; tick < ticks; tick++) {
    await setTimeout(BETWEEN_TICKS);
    times.push(await seconds(() => bath.tick()));
  }
  await setTimeout(BETWEEN_TICKS); // the first of these was made ready before, and the one after the last now
  const { user, system } = process.cpuUsage(before);
  await bath.close();
  return { seconds: times.sort((a, b) => a - b)[ticks >> 1], work: (user + system) / 1e6 / ticks };
}

const CLI = fileURLToPath(new URL("../dist/esm/cli.js", import.meta.url));
const TASKS = {
  perturb: ({ model, out, sigma }) => measured(() => perturbFile(model, out, { sigma, seed: 1n })),
  inspect: ({ model }) =>
    measured(async () => {
      const { status, stderr } = spawnSync(process.execPath, [CLI, "inspect", model, "--json"], {
        encoding: "utf8",
        maxBuffer: 1e9,
      });
      if (status !== 0) throw new Error(stderr);
    }),
  open: ({ model, folder }) =>
    measured(async () => {
      const bath = await Thermostat.open(model, { sigma: 0, scratch: folder });
      await bath.close();
    }),
  ticks,
};
console.log(JSON.stringify(await TASKS[task.what](task)));
