// What is kept of an interrupted run: whole lines are taken over, a torn one is left out, and what is of something else is refused by name.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Unfinished } from "../../src/files/unfinished.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const subject = { model: "abc", levels: [0.3, 1], left: undefined };
let number = 0;
const fresh = () => join(folder, `${number++}.jsonl`);
const usage = (message: RegExp) => ({ code: "usage", message: expect.stringMatching(message) });

it("goes on after the last whole line", async () => {
  const path = fresh();
  const first = new Unfinished(path, "test");
  await first.begin(subject, false);
  await first.add("a", { x: 0.1 + 0.2 });
  await first.add("b", [1, "ü\n"]);
  appendFileSync(path, '["c",{"x":'); // as a kill leaves it
  const second = new Unfinished(path, "test");
  await second.begin(subject, true);
  expect([...second.finished]).toEqual([
    ["a", { x: 0.1 + 0.2 }],
    ["b", [1, "ü\n"]],
  ]);
  await second.add("c", 3);
  const third = new Unfinished(path, "test");
  await third.begin(subject, true);
  expect([...third.finished.keys()]).toEqual(["a", "b", "c"]);
  await third.remove();
  expect(existsSync(path)).toBe(false);
});

it("refuses what is of something else, damaged, or not asked for", async () => {
  const path = fresh();
  await expect(new Unfinished(path, "test").begin(subject, true)).rejects.toMatchObject(usage(/There is no .* to go on with/));
  const one = new Unfinished(path, "test");
  await one.begin(subject, false);
  await one.add("a", 12);
  await expect(new Unfinished(path, "test").begin(subject, false)).rejects.toMatchObject(usage(/--resume, or remove it/));
  await expect(new Unfinished(path, "test").begin({ ...subject, model: "abd" }, true)).rejects.toMatchObject(
    usage(/other model:/),
  );
  const nested = new Unfinished(fresh(), "test");
  await nested.begin({ settings: { seed: "1", levels: [1] } }, false);
  const other = new Unfinished(nested.path, "test").begin({ settings: { seed: "2", levels: [1] } }, true);
  await expect(other).rejects.toMatchObject(usage(/with other seed:/));
  expect(await new Unfinished(nested.path, "test").former(true)).toEqual({ settings: { seed: "1", levels: [1] } });
  await expect(new Unfinished(path, "other").begin(subject, true)).rejects.toMatchObject(usage(/nothing that this version/));
  writeFileSync(path, readFileSync(path, "utf8").replace("12", "13"));
  await expect(new Unfinished(path, "test").begin(subject, true)).rejects.toMatchObject(usage(/damaged in line 2/));
  writeFileSync(path, "");
  await expect(new Unfinished(path, "test").begin(subject, true)).rejects.toMatchObject(usage(/nothing that this version/));
  await expect(new Unfinished(join(folder, "no", "x"), "test").begin(subject, false)).rejects.toMatchObject({
    code: "file-not-found",
  });
});
