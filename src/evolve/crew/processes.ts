// Readers that are child processes of this one, told by messages. One that dies, or gives no sign of life, loses the member that it had to another; a
// new one takes its place, and makes the centre again from the log.

import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BrownianError, type ErrorCode } from "../../errors.js";
import { packageRoot } from "../../kernels/addon.js";
import type { Ascent } from "../codes.js";
import { type Crew, type MemberReading, type MemberWork, MOST_FAILURES, type Running, type WorkerNews } from "./crew.js";
import type { WorkerPlace } from "./worker.js";

/** What a child is told. */
export type ToChild =
  | { readonly open: { readonly path: string; readonly running: Running; readonly place: Omit<WorkerPlace, "signal"> } }
  | { readonly went: Ascent }
  | { readonly read: MemberWork };

/** What it says: that it lives, that it has its model, what a member answered (null: its generation is over), or that it cannot. */
export type FromChild =
  | { readonly alive: true }
  | { readonly ready: true }
  | { readonly reading: MemberReading | null }
  | { readonly failed: { readonly code: ErrorCode; readonly message: string } };

interface Task {
  readonly work: MemberWork;
  failures: number;
  readonly resolve: (reading: MemberReading) => void;
  readonly reject: (error: unknown) => void;
}

interface Child {
  readonly process: ChildProcess;
  ready: boolean;
  task: Task | undefined;
  heard: number;
  words: string;
}

/** How long one that is told to end may take, milliseconds. */
const LAST_MOMENTS = 3000;
/** What is kept of a child's last words. */
const LAST_WORDS = 4096;

export class Processes implements Crew {
  private readonly children = new Set<Child>();
  private readonly log: Ascent[] = [];
  private readonly waiting: Task[] = [];
  /** Deaths since a member was read. */
  private deaths = 0;
  private over = false;
  private ended: unknown;
  private readonly watch: NodeJS.Timeout;

  /**
   * @param count children
   * @param opening what each is to open
   * @throws BrownianError engine-missing where brownian's own files are not beside it
   */
  constructor(
    count: number,
    private readonly opening: { readonly path: string; readonly running: Running; readonly place: Omit<WorkerPlace, "signal"> },
    private readonly news: (news: WorkerNews) => void,
  ) {
    const script = childScript();
    if (!existsSync(script))
      throw new BrownianError(
        "engine-missing",
        `Workers need ${script}, which is not there: leave brownian outside of a bundle.`,
      );
    for (let i = 0; i < count; i++) this.start();
    const { stall } = opening.running;
    this.watch = setInterval(() => this.endSilent(1000 * stall), Math.min(1000, 250 * stall));
    this.watch.unref();
  }

  async read(work: readonly MemberWork[], signal?: AbortSignal): Promise<readonly MemberReading[]> {
    signal?.throwIfAborted();
    const tasks = work.map(
      (one) =>
        new Promise<MemberReading>((resolve, reject) => {
          this.waiting.push({ work: one, failures: 0, resolve, reject });
        }),
    );
    const all = Promise.all(tasks);
    const abort = () => this.fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (this.ended !== undefined) this.fail(this.ended);
    this.give();
    try {
      return await all;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  went(ascent: Ascent): void {
    this.log.push(ascent);
    for (const { process } of this.children) tell(process, { went: ascent });
  }

  async close(): Promise<void> {
    this.over = true;
    clearInterval(this.watch);
    const all = [...this.children].map(({ process }) => process);
    await Promise.all(
      all.map(async (process) => {
        if (process.exitCode !== null || process.signalCode !== null) return;
        const exit = new Promise<void>((resolve) => process.once("exit", () => resolve()));
        if (process.connected) process.disconnect(); // its sign to end
        const late = setTimeout(() => process.kill("SIGKILL"), LAST_MOMENTS);
        await exit;
        clearTimeout(late);
      }),
    );
  }

  private start(): void {
    const child: Child = {
      process: fork(childScript(), [], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] }),
      ready: false,
      task: undefined,
      heard: performance.now(),
      words: "",
    };
    this.children.add(child);
    const { process } = child;
    process.stderr?.on("data", (data) => {
      child.words = `${child.words}${data}`.slice(-LAST_WORDS);
    });
    process.on("message", (message) => this.hear(child, message as FromChild));
    process.on("error", () => undefined); // its end is heard
    process.once("exit", (code, signal) => this.lose(child, signal ?? `exit code ${code}`));
    tell(process, { open: this.opening });
    for (const ascent of this.log) tell(process, { went: ascent });
  }

  private hear(child: Child, message: FromChild): void {
    child.heard = performance.now();
    const name = String(child.process.pid);
    if ("ready" in message) {
      child.ready = true;
      this.news({ worker: name, state: "ready" });
    } else if ("reading" in message) {
      const { task } = child;
      child.task = undefined;
      this.deaths = 0;
      if (message.reading !== null) task?.resolve(message.reading);
    } else if ("failed" in message) {
      const { code, message: why } = message.failed;
      const error = new BrownianError(code, why);
      if (!child.ready) {
        this.news({ worker: name, state: "refused", why });
        this.fail(error); // the same model on the same machine: the others cannot either
      } else this.again(child, error);
    }
    this.give();
  }

  /** What a child could not do, a new one does; unless it cannot be done. */
  private again(child: Child, error: BrownianError): void {
    const { task } = child;
    child.task = undefined;
    if (task === undefined) return;
    task.failures++;
    if (task.failures < MOST_FAILURES) this.waiting.unshift(task);
    else task.reject(error);
    child.process.kill("SIGKILL"); // what its model is now, nobody knows
  }

  private lose(child: Child, how: string): void {
    this.children.delete(child);
    if (this.over) return;
    const { task, process, words } = child;
    if (task !== undefined) this.waiting.unshift(task);
    this.news({ worker: String(process.pid), state: "lost", why: how });
    this.deaths++;
    if (this.deaths > MOST_FAILURES) {
      const said = words.trim() === "" ? "" : ` The last one said: ${words.trim().split("\n").at(-1)}`;
      this.fail(
        new BrownianError("engine-failed", `Workers end one after the other (${how}) before one has read a member.${said}`),
      );
      return;
    }
    this.start();
    this.give();
  }

  private endSilent(most: number): void {
    const now = performance.now();
    for (const { process, heard } of this.children) if (now - heard > most) process.kill("SIGKILL");
  }

  private fail(error: unknown): void {
    this.ended ??= error;
    const unread = [...this.waiting.splice(0), ...[...this.children].flatMap(({ task }) => task ?? [])];
    for (const child of this.children) child.task = undefined;
    for (const { reject } of unread) reject(error);
  }

  private give(): void {
    for (const child of this.children) {
      if (!child.ready || child.task !== undefined) continue;
      const task = this.waiting.shift();
      if (task === undefined) return;
      child.task = task;
      tell(child.process, { read: task.work });
    }
  }
}

/** The program of a child (worker-child.ts), as it is built. */
const childScript = (): string => join(packageRoot(), "dist", "esm", "worker-child.js");

/** One that has died is heard of otherwise. */
function tell(process: ChildProcess, message: ToChild): void {
  if (process.connected) process.send(message, () => undefined);
}
