// Disks without room, tried on a file system of a few megabytes: what was promised when a live copy was made is kept when the disk fills up later,
// and where it cannot be (a live file with holes), ticks are errors that name the file, never signals.
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const dist = (file: string) => JSON.stringify(new URL(`../../../dist/${file}`, import.meta.url).href);

/** Runs `body` where `disk` is an empty file system of so many kB, in a namespace of mounts of its own. */
function onDisk(
  kilobytes: number,
  body: string,
  backend: string,
): { said: string; status: number | null; signal: string | null } {
  const disk = mkdtempSync(join(folder, "disk-"));
  const program = `
    import { closeSync, copyFileSync, openSync, readdirSync, truncateSync, writeSync } from "node:fs";
    const { Thermostat } = await import(${dist("index.js")});
    const { openLiveTensors, readModel } = await import(${dist("files/index.js")});
    const { selection } = await import(${dist("kernels/select.js")});
    const [disk, model] = process.argv.slice(1);
    const say = (...words) => console.log(...words);
    const fill = () => {
      const file = openSync(disk + "/filler", "w");
      try { for (;;) writeSync(file, Buffer.alloc(4096)); } catch (error) { say(error.code); }
      closeSync(file);
    };
    try { ${body} } catch (error) { say(error.code, error.message); }`;
  const script = `mount -t tmpfs -o size=${kilobytes}k tmpfs "$1" && exec "$2" --input-type=module -e "$3" -- "$1" "$4"`;
  const args = ["-m", "sh", "-c", script, "sh", disk, process.execPath, program, resolve("models/fairytales-3M-Q8_0.gguf")];
  const { stdout, status, signal } = spawnSync("unshare", args, {
    encoding: "utf8",
    env: { ...process.env, BROWNIAN_BACKEND: backend },
  });
  return { said: stdout ?? "", status, signal };
}

const possible = process.platform === "linux" && onDisk(100, 'say("here")', "js").said === "here\n";
if (!possible) console.warn("SKIPPED full disks: no file system can be mounted here");

describe.runIf(possible).each(["native", "js"])("on %s", (backend) => {
  it("a live copy that was made keeps its room, whoever fills the disk then", () => {
    const body = `
      const bath = await Thermostat.open(model, { sigma: 0.05, dynamics: "andersen", tau: 2, scratch: disk });
      fill();
      for (let i = 0; i < 5; i++) say((await bath.tick()).changed > 0);
      await bath.restore();
      await bath.close();
      say(readdirSync(disk).join());`;
    expect(onDisk(3600, body, backend)).toEqual({ said: `ENOSPC\n${"true\n".repeat(5)}filler\n`, status: 0, signal: null });
  });

  it("one that has no room is refused before work begins, and leaves none", () => {
    const body = `
      await Thermostat.open(model, { sigma: 0.05, scratch: disk }).catch((error) => say(error.code, error.message));
      say(readdirSync(disk).length);`;
    const { said, status } = onDisk(2000, body, backend);
    expect(said).toMatch(/^no-space .* has no room for 3120704 bytes \(\d+ are free\): free some, or .*--scratch.*\n0\n$/);
    expect(status).toBe(0);
  });

  it("moves of a live file with holes end in an error that names it", () => {
    const body = `
      const live = disk + "/live.gguf";
      closeSync(openSync(live, "w"));
      truncateSync(live, 3120704);
      const tensors = await openLiveTensors(live, model, selection().kernels);
      fill();
      for (const tensor of (await readModel(model)).tensors.slice(0, 2))
        await tensors.restore(tensor).catch((error) => say(error.code, error.message.includes(live)));
      await tensors.close();`;
    const code = backend === "native" ? "file-changed" : "no-space";
    expect(onDisk(2000, body, backend)).toEqual({ said: `ENOSPC\n${code} true\n${code} true\n`, status: 0, signal: null });
  });
});
