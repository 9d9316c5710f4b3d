// Who is measured against the peers of today, and by whom: one process of Python a library and number of threads, which serves all rounds
// (imports and compilers take longer than what is measured), and one of Node a case of this library. One thread is pinned to one core.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { withVariables } from "../scripts/environment.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
export const SCRIPT = join(HERE, "peers.py");
export const ALL_THREADS = cpus().length;

const CORE = String(ALL_THREADS - 1);
const pinned = process.platform === "linux" && spawnSync("taskset", ["-c", CORE, "true"]).status === 0;

/** Programs for one thread do not start others, and those that wait for their turn sleep. */
const QUIET = { OMP_WAIT_POLICY: "passive", TORCHINDUCTOR_COMPILE_THREADS: "1" };
const ONE = { OMP_NUM_THREADS: "1", XLA_FLAGS: "--xla_cpu_multi_thread_eigen=false" };

function started(command, args, threads) {
  const [first, ...rest] = threads === 1 && pinned ? ["taskset", "-c", CORE, command, ...args] : [command, ...args];
  const env = withVariables({ ...QUIET, ...(threads === 1 && ONE) });
  return spawn(first, rest, { env, stdio: ["pipe", "pipe", "ignore"] });
}

/** Kills what takes longer than this many seconds: a compiler that hangs must not hold up the rest. */
async function within(seconds, child, answer) {
  const timer = setTimeout(() => child.kill("SIGKILL"), 1000 * seconds);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

/** The processes of Python; a library that died, or was killed, answers no more. */
export class Peers {
  #python;
  #servers = new Map();

  constructor(python) {
    this.#python = python;
  }

  /** Millions a second. @throws what the library said, or that it died */
  async rate({ library, name, bytes, threads, budget, patience }) {
    const key = `${library} ${threads}`;
    let server = this.#servers.get(key);
    if (server === undefined) {
      const child = started(this.#python, [SCRIPT, "serve", library, String(threads)], threads);
      child.stdin.on("error", () => {}); // of one that died: its line says so
      server = { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
      this.#servers.set(key, server);
    }
    server.child.stdin.write(`${JSON.stringify({ name, bytes, budget })}\n`);
    const { value, done } = await within(patience, server.child, server.lines.next());
    if (done) throw new Error(`it died, or took more than ${patience} s`);
    const { seconds, elements, error } = JSON.parse(value);
    if (error !== undefined) throw new Error(error);
    return elements / seconds / 1e6;
  }

  close() {
    for (const { child } of this.#servers.values()) child.stdin.end();
  }
}

/** The same of a case of bench/cases.mjs. */
export async function ownRate({ group, name, bytes, threads, patience }) {
  const item = { group: threads > 1 ? "threads" : group, name, backend: "native", bytes, threads };
  const child = started(process.execPath, [join(HERE, "measure.mjs"), JSON.stringify(item)], threads);
  let out = "";
  child.stdout.on("data", (data) => {
    out += data;
  });
  const [status] = await within(patience, child, once(child, "close"));
  if (status !== 0) throw new Error(`it ended with ${status}, or took more than ${patience} s`);
  const { seconds, elements } = JSON.parse(out);
  return elements / seconds / 1e6;
}
