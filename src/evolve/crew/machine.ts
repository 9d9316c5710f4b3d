// Which machine this is, as far as sums depend on it, and why one is refused that is another.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describeEngine, engineThreads, mostThreads, physicalCores } from "../../engine/index.js";
import { environment } from "../../environment.js";
import { BrownianError } from "../../errors.js";
import type { FileIdentity } from "../../files/identity.js";
import { packageRoot } from "../../kernels/addon.js";
import { selection } from "../../kernels/select.js";
import type { Session } from "../../llama/session.js";
import type { Machine, Running } from "./crew.js";

/** Tokens of a text whose ln p stand for a machine's arithmetic. */
const PROBED = 24;

/** Engine threads of each of so many readers on this machine: where nothing is said, they share what the engine would have. */
export function threadsFor(threads: number | undefined, readers: number): number {
  const most = mostThreads();
  if (threads !== undefined) {
    // Threads that wait for each other want a processor each; one alone waits for none.
    if (threads > 1 && readers * threads > most)
      throw new BrownianError(
        "usage",
        `${readers} workers of ${threads} engine threads are more than the ${most} processors that there are: take fewer of one.`,
      );
    return threads;
  }
  const all = environment.threads === undefined ? engineThreads(physicalCores()) : Math.min(environment.threads, most);
  return Math.max(1, Math.floor(all / readers));
}

/** All but the sums, which need the model. */
export async function namesOf(threads: number): Promise<Omit<Machine, "sums">> {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { version: string };
  const { name, llamaCpp } = await describeEngine();
  return { version, engine: name, llamaCpp, isa: selection().kernels.isa, threads };
}

export const probeOf = (tokens: readonly number[]): readonly number[] => tokens.slice(0, PROBED);

/** ln p of these tokens after the first, by the weights as they are: in the same order everywhere. */
export async function sumsOf(session: Session, probe: readonly number[]): Promise<number> {
  let sums = 0;
  if (probe.length > 1)
    await session.alone(() => session.engine.score(probe, {}, (_, { logProbability }) => (sums += logProbability)));
  return sums;
}

export const hashOf = (text: string | undefined): string | null =>
  text === undefined ? null : createHash("sha256").update(text).digest("hex");

const refused = (why: string) => new BrownianError("usage", `This worker cannot read for the search: ${why}.`);

const NAMES: Readonly<Record<keyof Machine, string>> = {
  version: "version of brownian",
  engine: "engine",
  llamaCpp: "release of llama.cpp",
  isa: "instruction set",
  threads: "number of engine threads",
  sums: "arithmetic (ln p of the same tokens by the same weights)",
};

/** @throws BrownianError usage, with what is another */
export function checkMachine(own: Partial<Machine>, search: Machine): void {
  for (const [name, is] of Object.entries(own) as [keyof Machine, string | number][])
    if (is !== search[name]) throw refused(`it has another ${NAMES[name]}, ${is}; the search has ${search[name]}`);
}

/** What can be told before a model is loaded. @throws BrownianError usage */
export async function checkWorker(
  running: Running,
  base: FileIdentity,
  own: { readonly threads?: number | undefined; readonly chatTemplate?: string | undefined },
): Promise<void> {
  const { machine, reads } = running;
  if (base.sha256 !== running.base.sha256)
    throw refused(
      `it has another base, ${base.file} (SHA-256 ${base.sha256.slice(0, 16)}...); the search's is ${running.base.file} (${running.base.sha256.slice(0, 16)}...)`,
    );
  checkMachine(await namesOf(own.threads ?? machine.threads), machine);
  if (machine.threads > mostThreads())
    throw refused(`the search has ${machine.threads} engine threads, more than this machine has processors (${mostThreads()})`);
  if (hashOf(own.chatTemplate) !== reads.chatTemplate)
    throw refused("it has another chat template than the search (--chat-template)");
}
