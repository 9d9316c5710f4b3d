// Around a whole run of tests: what tests and the processes that they start write to the temporary folder lies in one folder there, which goes at
// the end of the run, and when the run was killed, at the beginning of the next. A test that leaves a folder of ours behind fails the run.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const RUN = "brownian-tests-";

/** Whether a run has this folder that is still under way. */
function alive(folder: string): boolean {
  const pid = Number(folder.slice(RUN.length).split("-")[0]);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // another user's
  }
}

/**
 * Names of ours that there are. A user's folder of live copies stays where it was made, and is to be empty; so may be the folder of a file whose
 * tests were all skipped, since its hooks then are not called.
 */
function left(folder: string): string[] {
  const own = `brownian-${process.getuid?.() ?? ""}`;
  const mayStay = (name: string) => name === own || name.startsWith("brownian-test-");
  return readdirSync(folder).filter(
    (name) => name.startsWith("brownian-") && !(mayStay(name) && readdirSync(join(folder, name)).length === 0),
  );
}

export default function setup(): (() => void) | undefined {
  const before = tmpdir();
  if (before.includes(`${RUN}${process.pid}-`)) return undefined; // each project of the run asks
  for (const name of readdirSync(before))
    if (name.startsWith(RUN) && !alive(name)) rmSync(join(before, name), { recursive: true, force: true });
  const folder = mkdtempSync(join(before, `${RUN}${process.pid}-`));
  for (const variable of ["TMPDIR", "TMP", "TEMP"]) process.env[variable] = folder;
  return () => {
    const names = left(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    if (names.length === 0) return;
    process.exitCode = 1; // Vitest only prints what is thrown here
    throw new Error(`Tests left behind in the temporary folder: ${names.join(", ")}`);
  };
}
