// The numbers that the three backends have in common are written once: the files made of them are fresh.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";

it("native/contract.h and assembly/contract.ts are what src/laws/numbers.ts makes of them", async () => {
  // @ts-expect-error: a script, without types
  const { contract } = await import("../../scripts/build/contract.mjs");
  for (const [path, text] of Object.entries(await contract()))
    expect(readFileSync(path, "utf8"), `${path}: run node scripts/build/contract.mjs`).toBe(text);
});
