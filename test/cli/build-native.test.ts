// brownian build-native compiles with the node-gyp of this package or of npm, never with one that lies where the command is typed, or above.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const CLI = resolve("dist/cli/main.js");

/** A package node-gyp, and a program of that name, that leave a mark and fail. */
function planted(at: string): { mark: string; bin: string } {
  const mark = join(at, "ran");
  const script = `#!/usr/bin/env node\nrequire("fs").writeFileSync(${JSON.stringify(mark)}, "");\nprocess.exit(9);\n`;
  const package_ = join(at, "node_modules", "node-gyp");
  const bin = join(at, "node_modules", ".bin");
  mkdirSync(join(package_, "bin"), { recursive: true });
  mkdirSync(bin);
  writeFileSync(join(package_, "package.json"), JSON.stringify({ name: "node-gyp", version: "99.0.0", bin: "bin/node-gyp.js" }));
  writeFileSync(join(package_, "bin", "node-gyp.js"), script, { mode: 0o755 });
  symlinkSync(join(package_, "bin", "node-gyp.js"), join(bin, "node-gyp"));
  return { mark, bin };
}

describe.skipIf(process.platform === "win32")("build-native", () => {
  it.each(["the folder that it is typed in", "a folder above that"])("does not run the node-gyp of %s", (where) => {
    const top = mkdtempSync(join(folder, "project-"));
    const { mark } = planted(top);
    const cwd = where.startsWith("a folder") ? join(top, "deep", "er") : top;
    mkdirSync(cwd, { recursive: true });
    // Without programs on the PATH it stops before it compiles: a compiler, make and Python are asked for after a node-gyp was found.
    const { status, stderr } = spawnSync(process.execPath, [CLI, "build-native"], {
      cwd,
      encoding: "utf8",
      env: { HOME: top, PATH: "", NODE_PATH: join(top, "node_modules") },
    });
    expect(existsSync(mark)).toBe(false);
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/this machine lacks a C\+\+ compiler, make, Python 3|There is no node-gyp/);
  });
});
