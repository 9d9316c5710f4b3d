// How many threads the engine may have. They spin while they wait for each other, so one more than there are cores makes it not a
// little slower but ten to hundreds of times.

import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Threads for the engine: the `physical` cores, as far as this process may use them (`allowed` by affinity, and the CPU
 * quota of its container), less one for the event loop, which takes turns with the engine at every token. `read` gives
 * the text of a file, or throws.
 */
export function engineThreads(
  physical: number,
  allowed = availableParallelism(),
  read = (path: string) => readFileSync(path, "utf8"),
): number {
  return Math.max(1, Math.floor(Math.min(physical, allowed, quota(read))) - 1);
}

/** Processors that this process may use, as far as it is told: more threads than these take them from each other. */
export function mostThreads(allowed = availableParallelism(), read = (path: string) => readFileSync(path, "utf8")): number {
  return Math.max(1, Math.floor(Math.min(allowed, quota(read))));
}

/** The CPU quota of the control group in cores, which Node asks about only from version 22 on; Infinity where there is none. */
function quota(read: (path: string) => string): number {
  const sources = [
    () => read("/sys/fs/cgroup/cpu.max").trim().split(" "), // version 2: "200000 100000", or "max 100000"
    () => [read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")], // version 1: -1 is none
  ];
  for (const source of sources) {
    try {
      const [time, period] = source().map(Number) as [number, number];
      if (time > 0 && period > 0) return time / period;
    } catch {
      // Not this version, or no control groups at all.
    }
  }
  return Number.POSITIVE_INFINITY;
}

/** The processor's cores, of which each may count as several processors; where the system does not tell, its processors. */
export function physicalCores(root = "/sys/devices/system/cpu"): number {
  try {
    const processors = readdirSync(root).filter((name) => /^cpu\d+$/.test(name));
    const siblings = processors.map((name) => readFileSync(`${root}/${name}/topology/thread_siblings_list`, "utf8").trim());
    return new Set(siblings).size || availableParallelism();
  } catch {
    return availableParallelism();
  }
}
