// Memory while a file is moved must not grow with the file: measured on /proc, without the mapped file's own pages.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { native, wasm } from "../../support/backends.js";
import { scratchFolder, writeGguf } from "../../support/synthetic-gguf.js";

const folder = scratchFolder();
const module = new URL("../../../dist/index.js", import.meta.url).href;

function write(model: string, megabytes: number): void {
  // A block of scale 1/16 and codes of all sizes, over and over.
  const block = Uint8Array.from({ length: 34 }, (_, i) => (i === 0 ? 0 : i === 1 ? 0x2c : i * 7));
  const rows = Math.floor((megabytes * 1e6) / (34 * 128));
  writeGguf(model, [{ name: "w", type: "Q8_0", shape: [4096, rows], data: { repeat: block } }]);
}

/** Peak of the process's own memory (RssAnon) in MB while a Q8_0 file of this size is moved. */
function peak(megabytes: number, backend: string): number {
  const model = join(folder, `${megabytes}.gguf`);
  if (!existsSync(model)) write(model, megabytes);
  const program = `
    import { readFileSync } from "node:fs";
    import { perturbFile } from ${JSON.stringify(module)};
    let peak = 0;
    const look = () => { peak = Math.max(peak, Number(/RssAnon:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1])); };
    const timer = setInterval(look, 5);
    const { changed } = await perturbFile(process.argv[1], process.argv[2], { sigma: 0.05, onProgress: look });
    clearInterval(timer);
    if (changed < 1e6) throw new Error("nothing moved");
    console.log(peak / 1024);`;
  const env = { ...process.env, BROWNIAN_BACKEND: backend };
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program, "--", model, join(folder, "out.gguf")], {
    env,
    encoding: "utf8",
  });
  expect(child.stderr).toBe("");
  return Number(child.stdout);
}

describe.skipIf(process.platform !== "linux")("peak memory of perturbFile", () => {
  it.each([native.length > 0 ? ["native"] : [], wasm.length > 0 ? ["wasm"] : []].flat())(
    "on %s is the same for 10 and for 100 MB, and small",
    (backend) => {
      const small = peak(10, backend);
      const large = peak(100, backend);
      expect(large).toBeLessThan(200);
      // Ten times the file: garbage collection moves the peak by some MB, the file's size would move it by 90.
      expect(large - small).toBeLessThan(40);
    },
  );
});
