// What functions of the caller's throw comes back to the caller as it is, whatever it looks like: even where it looks like a file system's error.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compressionRatio, perturbAsync, perturbFile, Thermostat } from "../../src/index.js";
import { calibrate, loadModel, type Model } from "../../src/index.llama.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const path = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));
const folder = scratchFolder();
const thrown = [
  new Error("the caller's own"),
  new TypeError("the caller's own"),
  Object.assign(new Error("ENOENT: the caller's own"), { code: "ENOENT", errno: -2, path: "/the/caller's" }),
  Object.assign(new Error("ENOSPC: the caller's own"), { code: "ENOSPC", errno: -28 }),
  "no error at all",
];

describe.each(thrown.map((error) => ({ error, name: String(error) })))("$name", ({ error }) => {
  const raise = () => {
    throw error;
  };
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(path, { threads: 1, contextSize: 64, scratch: folder });
  });
  afterAll(() => model.dispose());

  it.each<readonly [string, () => Promise<unknown>]>([
    ["pick", () => model.complete("A", { pick: raise, maxTokens: 2 })],
    ["onToken", () => model.complete("A", { onToken: raise, maxTokens: 2 })],
    ["sigma, a schedule", () => model.complete("A", { sigma: raise, dynamics: "white", maxTokens: 2 })],
    ["visit", () => model.score("A king", {}, raise)],
    ["keep", () => model.score("A king", { keep: raise }, () => undefined)],
    ["onProgress of uncertainty", () => model.uncertainty("A", { members: 1, maxTokens: 2, onProgress: raise })],
    ["onProgress of calibrate", () => calibrate(model, "A king and a queen had a son.", { onProgress: raise })],
    ["onProgress of loadModel", () => loadModel(path, { scratch: folder, onProgress: raise })],
    ["onProgress of perturbFile", () => perturbFile(path, join(folder, "out.gguf"), { sigma: 0.1, onProgress: raise })],
    ["onProgress of Thermostat.open", () => Thermostat.open(path, { sigma: 0.1, scratch: folder, onProgress: raise })],
    [
      "onProgress of perturbAsync",
      () => perturbAsync(new Uint8Array(34), { type: "Q8_0", sigma: 1, seed: 1n, onProgress: raise }),
    ],
    ["deflate", async () => compressionRatio(["a"], raise)],
  ])("of %s", async (_, call) => {
    const came = await call().then(
      () => "nothing",
      (reason) => ({ reason }),
    );
    expect(came).toEqual({ reason: error });
    if (typeof came === "object") expect(came.reason).toBe(error);
  });

  it("and the model goes on", async () => {
    expect((await model.complete("A", { maxTokens: 2 })).tokens).toBe(2);
    rmSync(join(folder, "out.gguf"), { force: true });
  });
});
