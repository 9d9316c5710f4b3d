// The lines of code in docs/guides/methods.md run as they stand, in one program, on the built package.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("docs/guides/methods.md: every example runs", () => {
  const root = new URL("../../", import.meta.url).pathname;
  const text = readFileSync(`${root}docs/guides/methods.md`, "utf8");
  const blocks = [...text.matchAll(/^```js\n(.*?)^```/gms)].map((match) => match[1]!);
  expect(blocks.length).toBeGreaterThan(6);
  // The first block is what the others go on from; each of those has its own names. Imports stand at the top.
  const lines = (block: string, imports: boolean) => block.split("\n").filter((line) => line.startsWith("import ") === imports);
  const [first, ...others] = blocks.map((block) => lines(block, false).join("\n"));
  const imports = blocks.flatMap((block) => lines(block, true));
  const program = [...imports, first, ...others.map((body) => `{\n${body}\n}`), "console.log('ran to the end');"].join("\n");
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { cwd: root, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(stdout).toBe("ran to the end\n");
});
