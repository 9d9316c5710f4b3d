// The command line in tests, as `npm run setup` built it: `start` is a process, for what concerns processes (signals, pipes, their end); `run` is
// a command in one process that all tests of a worker share, since most of the time of a command of this size goes into its start.
import { type ChildProcess, fork, type SpawnOptions, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/esm/cli.js", import.meta.url));
const SHARED = fileURLToPath(new URL("command-line-child.mjs", import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const common = () => ({ ...process.env, NO_COLOR: "1", BROWNIAN_THREADS: "1" });

let shared: ChildProcess | undefined;
const asked = new Map<number, { resolve: (outcome: Outcome) => void; reject: (error: Error) => void }>();
let count = 0;

/** The shared process, which ends with this one. */
function child(): ChildProcess {
  if (shared !== undefined) return shared;
  const made = fork(SHARED, { env: common(), stdio: ["ignore", "inherit", "inherit", "ipc"] });
  shared = made;
  made.on("message", (message: Outcome & { id: number }) => {
    const { id, ...outcome } = message;
    asked.get(id)?.resolve(outcome);
    asked.delete(id);
  });
  made.once("exit", (code, signal) => {
    shared = undefined;
    for (const { reject } of asked.values()) reject(new Error(`The command ended its process: ${signal ?? code}.`));
    asked.clear();
  });
  // Nobody waits for it but who has asked it for something, which Vitest does as long as tests run.
  made.unref();
  made.channel?.unref();
  return made;
}

/** @param variables of all commands, beside those of the tests; `cwd` is where commands of the shared process stand */
export function commandLine(variables: NodeJS.ProcessEnv = {}, cwd = process.cwd()) {
  const env = { ...common(), ...variables };

  function start(args: readonly string[], options: SpawnOptions = {}) {
    const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, ...options, env: { ...env, ...options.env } });
    let out = "";
    let err = "";
    child.stdout?.on("data", (chunk) => (out += chunk));
    child.stderr?.on("data", (chunk) => (err += chunk));
    const ended = new Promise<Outcome>((resolve) => child.once("close", (code) => resolve({ code, out, err })));
    return { child, ended };
  }

  function run(...args: string[]): Promise<Outcome> {
    const id = count++;
    const answer = new Promise<Outcome>((resolve, reject) => asked.set(id, { resolve, reject }));
    child().send({ id, args, cwd, env });
    return answer;
  }
  return { start, run };
}
