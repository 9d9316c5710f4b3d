// Rewards of the user's own: a JavaScript module, or a command in whatever language that reads and writes lines of JSON. Both run what the user names
// on the command line or hands to evolve(): nothing that comes by the network may ever choose them.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { BrownianError, checkText, shown } from "../errors.js";
import type { Judge } from "./rewards.js";
import type { Question } from "./task.js";

/** Letters of what a command says to stderr that its error shows. */
const SAID = 400;

const failed = (why: string, cause?: unknown) => new BrownianError("reward-failed", why, { cause });

/** A number, or what stands for one in JSON that has no NaN. */
const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number.NaN);

/** What a judge outside is told of a question: what is asked, the first right answer, and all of them. */
const asked = ({ prompt, answers }: Question) => ({ prompt, answer: answers[0] ?? "", answers });

/**
 * The judge that a module exports by default: a function of { prompt, answer, answers, text }, which returns a number or a promise of one.
 * @throws BrownianError reward-failed where it has none
 */
export async function moduleJudge(path: string): Promise<Judge> {
  const module = (await import(pathToFileURL(resolve(checkText("path", path))).href).catch((cause) => {
    throw failed(`The module ${path} cannot be loaded: ${(cause as Error).message}`, cause);
  })) as { default?: unknown };
  const judge = module.default;
  if (typeof judge !== "function") throw failed(`${path} has no function as its default export: it is to return the reward.`);
  return (answered) =>
    Promise.all(
      answered.map(async ({ question, text }) => {
        try {
          return numberOf(await judge({ ...asked(question), text }));
        } catch (cause) {
          throw failed(`The reward of ${path} failed: ${(cause as Error).message}`, cause);
        }
      }),
    );
}

/**
 * A judge that is a program: for every question it is written one line of JSON, { prompt, answer, answers, text }, and writes one back, { reward }, in turn.
 * It is started once and ended by {@link CommandJudge.close}.
 */
export class CommandJudge {
  private child: ChildProcessWithoutNullStreams | undefined;
  private lines: AsyncIterator<string> | undefined;
  private said = "";

  /**
   * @param command as a shell reads it
   * @param seconds that it may take for the questions of one member
   */
  constructor(
    private readonly command: string,
    private readonly seconds: number,
  ) {}

  /** @throws BrownianError reward-failed where it dies, is late, or writes something else */
  readonly judge: Judge = async (answered, signal) => {
    signal?.throwIfAborted();
    const { child, lines } = this.started();
    let late: NodeJS.Timeout | undefined;
    const ends = new Promise<never>((_, reject) => {
      late = setTimeout(
        () => reject(failed(`The reward command did not answer within ${this.seconds} s and was ended: ${this.command}`)),
        1000 * this.seconds,
      );
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      const told = answered.map(({ question, text }) => `${JSON.stringify({ ...asked(question), text })}\n`);
      child.stdin.write(told.join(""));
      const rewards: number[] = [];
      for (let i = 0; i < answered.length; i++) {
        const line = await Promise.race([lines.next(), ends]);
        if (line.done) throw failed(`The reward command ended before it answered: ${this.command}${this.remarks()}`);
        rewards.push(this.rewardIn(line.value));
      }
      return rewards;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(late);
      ends.catch(() => undefined);
    }
  };

  private rewardIn(line: string): number {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw failed(`The reward command wrote what is no JSON: ${shown(line)} (${this.command})`);
    }
    if (typeof value !== "object" || value === null || !("reward" in value))
      throw failed(`The reward command must write {"reward": number}, but wrote ${shown(line)} (${this.command})`);
    return numberOf(value.reward);
  }

  private remarks(): string {
    return this.said.trim() === "" ? "" : `; it said: ${this.said.trim().slice(-SAID)}`;
  }

  private started(): { child: ChildProcessWithoutNullStreams; lines: AsyncIterator<string> } {
    if (this.child !== undefined && this.lines !== undefined) return { child: this.child, lines: this.lines };
    // A group of its own, so that what the shell started ends with it.
    const child = spawn(this.command, { shell: true, detached: process.platform !== "win32", stdio: "pipe" });
    child.stderr.on("data", (data: Buffer) => {
      this.said = (this.said + data.toString("utf8")).slice(-2 * SAID);
    });
    // One that has died is seen at its stdout.
    child.stdin.on("error", () => undefined);
    child.on("error", () => undefined);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.child = child;
    this.lines = lines;
    return { child, lines };
  }

  /** Ends the command. Idempotent. */
  close(): void {
    const { child } = this;
    this.child = undefined;
    this.lines = undefined;
    if (child?.pid === undefined) return;
    child.stdin.destroy();
    child.stdout.destroy();
    child.stderr.destroy();
    try {
      if (process.platform === "win32") child.kill();
      else process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
    child.unref();
  }
}
