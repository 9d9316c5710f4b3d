// The program of a child process that reads members (processes.ts). It ends with the process that started it. Nothing imports it.

import { BrownianError } from "../../errors.js";
import type { Ascent } from "../codes.js";
import type { FromChild, ToChild } from "./processes.js";
import { EvolveWorker } from "./worker.js";

/** Milliseconds from one sign of life to the next. */
const ALIVE = 250;

const log: Ascent[] = [];
let worker: EvolveWorker | undefined;
let busy = 0;

const say = (message: FromChild) => process.send?.(message, () => undefined);

async function hear(message: ToChild): Promise<void> {
  if ("open" in message) {
    const { path, running, place } = message.open;
    worker = await EvolveWorker.open(path, running, place);
    say({ ready: true });
  } else if ("read" in message && worker !== undefined) {
    // What went before was told before.
    say({ reading: (await worker.read(message.read, async (from, to) => log.slice(from, to))) ?? null });
  }
}

/** One after the other; a failure is told, and ends nothing. */
let done: Promise<void> = Promise.resolve();
process.on("message", (message) => {
  const told = message as ToChild;
  if ("went" in told) log.push(told.went);
  else {
    busy++;
    done = done
      .then(() => hear(told))
      .catch((error: unknown) => {
        const { message: why } = error as Error;
        say({ failed: { code: error instanceof BrownianError ? error.code : "engine-failed", message: why } });
      })
      .finally(() => busy--);
  }
});
// Whoever started this process has ended, or has no more work. Where the engine is at work on another thread, nothing is to wait for it.
process.on("disconnect", () => (busy > 0 ? process.kill(process.pid, "SIGKILL") : process.exit(0)));
setInterval(() => say({ alive: true }), ALIVE);
