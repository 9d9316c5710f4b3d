// The kinds of logs that searches keep, for whoever takes any of them.

import { ADAPTER_SEARCH, type AdapterLog } from "./adapter-log.js";
import { EVOLUTION, type EvolutionLog } from "./log.js";
import { type LogKind, readLogOf } from "./log-file.js";

/** A log of any search. */
export type AnyLog = EvolutionLog | AdapterLog;

type AnyKind = LogKind<AnyLog["head"], AnyLog["generations"][number]>;

const KINDS: readonly AnyKind[] = [EVOLUTION, ADAPTER_SEARCH];

/**
 * Reads a log of any search, with what that was told, by name.
 * @throws BrownianError as readLog
 */
export async function readAnyLog(path: string): Promise<{ log: AnyLog; told: Readonly<Record<string, unknown>> }> {
  const log = await readLogOf(KINDS, path);
  const kind = KINDS.find(({ format }) => format === log.head.format) as AnyKind;
  return { log: log as AnyLog, told: kind.told(log.head) };
}
