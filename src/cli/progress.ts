// A progress bar on stderr for work on files that takes a while; silent for small files and where nobody looks.

import { Presets, SingleBar } from "cli-progress";
import { bytes } from "../report/table.js";

/** Files from this size on are worth a bar. */
const WORTH_A_BAR = 100e6;

/** Runs `work` with a callback for (steps done, steps in all), each of which takes a while. */
export async function withSteps<T>(
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  const options = { format: `${label} {bar} {percentage}%, {eta_formatted} left`, stream: process.stderr, noTTYOutput: false };
  const bar = new SingleBar({ ...options, hideCursor: true, clearOnComplete: true }, Presets.shades_classic);
  let started = false;
  try {
    return await work((done, total) => {
      if (!started) bar.start(total, done);
      started = true;
      bar.update(done);
    });
  } finally {
    bar.stop();
  }
}

/** Runs `work` with a callback for (bytes done, bytes in all). */
export async function withProgress<T>(
  label: string,
  work: (onProgress: (done: number, total: number) => void) => Promise<T>,
): Promise<T> {
  let bar: SingleBar | undefined;
  const onProgress = (done: number, total: number) => {
    if (total < WORTH_A_BAR) return;
    if (bar === undefined) {
      bar = new SingleBar(
        {
          format: `${label} {bar} {percentage}% of ${bytes(total)}, {eta_formatted} left`,
          stream: process.stderr,
          noTTYOutput: false,
          hideCursor: true,
          clearOnComplete: true,
        },
        Presets.shades_classic,
      );
      bar.start(total, done);
    }
    bar.setTotal(total);
    bar.update(done);
  };
  try {
    return await work(onProgress);
  } finally {
    bar?.stop();
  }
}
