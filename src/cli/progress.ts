// A progress bar on stderr for work that takes a while; silent for small files and where nobody looks.

import { Presets, SingleBar } from "cli-progress";
import { bytes } from "../report/table.js";

/** Files from this size on are worth a bar. */
const WORTH_A_BAR = 100e6;

/** Work that tells how much of it is done, in units of its own. */
type Work<T> = (onProgress: (done: number, total: number) => void) => Promise<T>;

/** Runs `work` with a callback for (steps done, steps in all), each of which takes a while. */
export function withSteps<T>(label: string, work: Work<T>): Promise<T> {
  return withBar(work, 0, () => `${label} {bar} {percentage}%, {eta_formatted} left`);
}

/** Runs `work` with a callback for (bytes done, bytes in all). */
export function withProgress<T>(label: string, work: Work<T>): Promise<T> {
  return withBar(work, WORTH_A_BAR, (total) => `${label} {bar} {percentage}% of ${bytes(total)}, {eta_formatted} left`);
}

/** A bar from the first that is heard of the work, where there is at least `least` of it. */
async function withBar<T>(work: Work<T>, least: number, format: (total: number) => string): Promise<T> {
  let bar: SingleBar | undefined;
  const begun = (total: number, done: number): SingleBar => {
    const options = {
      format: format(total),
      stream: process.stderr,
      noTTYOutput: false,
      hideCursor: true,
      clearOnComplete: true,
    };
    const made = new SingleBar(options, Presets.shades_classic);
    made.start(total, done);
    return made;
  };
  try {
    return await work((done, total) => {
      if (total < least) return;
      bar ??= begun(total, done);
      bar.setTotal(total);
      bar.update(done);
    });
  } finally {
    bar?.stop();
  }
}
