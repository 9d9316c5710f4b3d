// Processes that work on files, as the package is built, and end as they are told to: by themselves, by a signal, by a kill.
import { spawn } from "node:child_process";

const files = new URL("../../dist/files/index.js", import.meta.url).href;
const js = new URL("../../dist/kernels/js.js", import.meta.url).href;
const program = (body: string) => `
  const { copyModel, LiveCopy, openLiveTensors, readModel, writeWhole } = await import(${JSON.stringify(files)});
  const { jsKernels } = await import(${JSON.stringify(js)});
  try { ${body} } catch (error) { console.log(error.code, error.message); }`;
const start = (body: string, args: string[], options = {}) =>
  spawn(process.execPath, ["--input-type=module", "-e", program(body), "--", ...args], {
    ...options,
    stdio: ["ignore", "pipe", "inherit"],
  });

/** Runs `body`, with the names of files/index.js at hand, in a process of its own; resolves to what it says. */
export async function run(body: string, args: string[], options = {}): Promise<string> {
  let output = "";
  const child = start(body, args, options);
  child.stdout?.on("data", (data) => {
    output += data;
  });
  await new Promise((resolve) => child.once("close", resolve));
  return output;
}

/** Starts a process, waits until it says something and then for so many milliseconds, and ends it. */
export async function interrupted(body: string, args: string[], signal: NodeJS.Signals, after = 0): Promise<void> {
  const child = start(body, args);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  await new Promise((resolve) => setTimeout(resolve, after));
  child.kill(signal);
  await ended;
}
