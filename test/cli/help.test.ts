// Every command describes itself: options, and defaults of every type.
import { readdirSync, readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, it } from "vitest";
import type { Invocation } from "../../src/cli/main.js";

const folder = new URL("../../src/cli/", import.meta.url);
const files = readdirSync(folder).filter((file) =>
  /export function \w+Command\(/.test(readFileSync(new URL(file, folder), "utf8")),
);

it.each(files)("the help of %s prints", async (file) => {
  const exported = (await import(new URL(file, folder).href)) as Record<string, (invocation: Invocation) => Command>;
  const [, make] = Object.entries(exported).find(([name]) => name.endsWith("Command")) ?? [];
  const command = make?.({ signal: new AbortController().signal });
  expect(command?.helpInformation()).toContain(`Usage: ${command?.name()}`);
});

it("finds the commands", () => expect(files.length).toBeGreaterThanOrEqual(6));
