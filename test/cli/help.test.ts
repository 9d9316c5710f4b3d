// Every command describes itself: options, and defaults of every type.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { expect, it } from "vitest";
import type { Invocation } from "../../src/cli/main.js";
import { wordsText } from "../../src/cli/words.js";
import { DYNAMICS } from "../../src/thermostat/dynamics/index.js";

const folder = new URL("../../src/cli/", import.meta.url);
const files = readdirSync(folder).filter((file) =>
  /export function \w+Command\(/.test(readFileSync(new URL(file, folder), "utf8")),
);

it.each(files)("the help of %s prints", async (file) => {
  const exported = (await import(fileURLToPath(new URL(file, folder)))) as Record<string, (invocation: Invocation) => Command>;
  const [, make] = Object.entries(exported).find(([name]) => name.endsWith("Command")) ?? [];
  const command = make?.({ signal: new AbortController().signal });
  expect(command?.helpInformation()).toContain(`Usage: ${command?.name()}`);
});

it("explains its words below the options", () => {
  const text = wordsText("RMS", "dynamics", "tau", "tick", "rails");
  for (const word of ["RMS", "dynamics", "tau", "tick", "rails", ...Object.keys(DYNAMICS)])
    expect(text).toMatch(new RegExp(`^ +${word} {2,}\\S`, "m"));
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(130);
  for (const name of ["generate", "chat", "serve", "perturb", "inspect", "calibrate", "compare"])
    expect(readFileSync(new URL(`${name}.ts`, folder), "utf8"), name).toContain("wordsText(");
});

it("finds the commands", () => expect(files.length).toBeGreaterThanOrEqual(6));
