// Which engine is used, and that a second choice is said, once.
import { once } from "node:events";
import { expect, it } from "vitest";
import { ENGINES, engineNamed, sayIfSecond } from "../../src/engine/engines.js";
import type { EngineKind } from "../../src/engine/interface.js";

it("is the first that can be used, or the one that is named", () => {
  const usable = Object.values(ENGINES).find((kind) => kind.whyNot() === undefined);
  expect(engineNamed()).toBe(usable);
  for (const [name, kind] of Object.entries(ENGINES)) expect(engineNamed(name)).toBe(kind);
  expect(() => engineNamed("abacus")).toThrow(/engine must be one of llama-c, node-llama-cpp/);
});

it("is said to be the second choice once, with the reason", async () => {
  const preferred = { ...ENGINES["llama-c"], whyNot: () => "Its release b9999 is not known." } as EngineKind;
  const warnings: string[] = [];
  const listen = ({ message }: Error) => warnings.push(message);
  process.on("warning", listen);
  const first = once(process, "warning");
  for (let i = 0; i < 3; i++) sayIfSecond(ENGINES["node-llama-cpp"], preferred);
  sayIfSecond(preferred, preferred);
  await first;
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", listen);
  expect(warnings).toEqual([expect.stringMatching(/^Its release b9999 is not known. So node-llama-cpp's public interface/)]);
});
