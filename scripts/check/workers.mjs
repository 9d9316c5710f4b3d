// npm run trial:workers: searches on the embedded model with workers on a Redis, of which one after the other is killed (SIGKILL) at a random moment and
// another comes in its place, 50 times; now and then one is stopped for longer than it may be silent, and goes on then (its answer comes late); Redis
// itself is killed and begins anew with nothing. Every search must end with the bytes of one that reads alone. Needs redis-server or valkey-server.
// Takes --kills N, --workers N, --seed N. Prints figures; exit code 1 where something does not hold.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { evolve } from "../../dist/index.llama.js";
import { redisServer, withVariables } from "../environment.mjs";
import { dice } from "./mutations.mjs";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    workers: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});
const [kills, count, seed] = [values.kills, values.workers, values.seed].map(Number);
const program = redisServer();
if (program === undefined) {
  console.error("no redis-server or valkey-server on the path: nothing was tried");
  process.exit(1);
}

const MODEL = resolve("models/fairytales-3M-Q8_0.gguf");
const CLI = resolve("dist/esm/cli.js");
/** Seconds of silence, after which a worker's member goes to another. */
const STALL = 2;
const folder = mkdtempSync(join(tmpdir(), "brownian-trial-"));
const place = (name) => join(folder, name);
const env = withVariables({ NO_COLOR: "1", BROWNIAN_SCRATCH: folder, BROWNIAN_CACHE: place("cache") });
const random = dice(seed);
const until = (holds) =>
  new Promise((done) => {
    const look = () => (holds() ? done() : setTimeout(look, 20));
    look();
  });

const port = await new Promise((done) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port: free } = server.address();
    server.close(() => done(free));
  });
});
const url = `redis://127.0.0.1:${port}`;
let redis;
const startRedis = () => {
  redis = spawn(program, ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder], { stdio: "ignore" });
};

const workers = [];
function startWorker() {
  const child = spawn(process.execPath, [CLI, "worker", url], { env, stdio: ["ignore", "ignore", "pipe"] });
  const worker = { child, ready: false, frozen: false };
  child.stderr.on("data", (data) => {
    if (String(data).includes("reads for the search")) worker.ready = true;
  });
  workers.push(worker);
}

const WHO = ["king", "queen", "wolf", "bear", "fox", "miller", "tailor", "soldier"];
const task = WHO.map((who) => ({ prompt: `There was once a ${who} who was very`, answers: [" happy"] }));
const common = { task, validation: 0.5, sigma: 0.05, rate: 2, population: 8, batch: 4, threads: 1, generations: 12 };

async function search(name, number, more = {}) {
  const output = place(`${name}.gguf`);
  const { evaluations } = await evolve(MODEL, { ...common, seed: number, output, scratch: folder, ...more });
  return { hash: createHash("sha256").update(readFileSync(output)).digest("hex"), evaluations };
}

const done = { kills: 0, stops: 0, restarts: 0, searches: 0, members: 0 };
let ending = false;

/** Kills, stops and starts, until there were enough kills. */
async function disturb() {
  while (!ending && done.kills < kills) {
    await sleep(random.below(600));
    const victim = random.pick(workers);
    const kind = random.below(12);
    if (kind === 0) {
      redis.kill("SIGKILL");
      await sleep(random.below(1000));
      startRedis();
      done.restarts++;
    } else if (kind < 3 && !victim.frozen && victim.ready) {
      victim.frozen = true;
      victim.child.kill("SIGSTOP");
      done.stops++;
      setTimeout(
        () => {
          victim.frozen = false;
          victim.child.kill("SIGCONT");
        },
        1000 * STALL * 2,
      );
    } else if (victim.ready && !victim.frozen) {
      workers.splice(workers.indexOf(victim), 1);
      victim.child.kill("SIGKILL");
      done.kills++;
      startWorker();
      // As long as it takes another to be ready, at the most: there is to be one that reads.
      await until(() => ending || workers.some(({ ready, frozen }) => ready && !frozen));
    }
  }
}

const failures = [];
const begun = performance.now();
try {
  startRedis();
  for (let i = 0; i < count; i++) startWorker();
  const disturbing = disturb();
  for (let number = 1; done.kills < kills; number++) {
    const alone = await search("alone", number);
    const together = await search("together", number, { workers: url, stall: STALL });
    done.searches++;
    done.members += together.evaluations;
    if (together.hash !== alone.hash) failures.push(`search ${number}: other bytes than alone`);
    if (together.evaluations !== alone.evaluations)
      failures.push(`search ${number}: ${together.evaluations} members counted, not ${alone.evaluations}`);
  }
  ending = true;
  await disturbing;
  const seconds = Math.round((performance.now() - begun) / 1000);
  console.log(
    `${done.kills} workers killed, ${done.stops} stopped for ${2 * STALL} s, Redis killed ${done.restarts} times, in ${done.searches} searches with ` +
      `${done.members} members, ${count} workers at a time (${seconds} s): ${failures.length} searches with other bytes than alone`,
  );
} finally {
  for (const { child } of workers) child.kill("SIGKILL");
  redis.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
for (const failure of failures) console.error(failure);
process.exit(failures.length > 0 ? 1 : 0);
