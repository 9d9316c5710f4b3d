// Audits on the embedded model: groups, fragilities that add up and do not depend on sigma, the same numbers for the same seed, also when it was
// interrupted; and the scale that rests on them.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { groupsOf, placeOf, REST } from "../../src/evaluate/audit/groups.js";
import { type Audit, type AuditOptions, audit } from "../../src/evaluate/audit/index.js";
import { auditPage, auditTable } from "../../src/evaluate/audit/page.js";
import { readFragilities, readModel } from "../../src/files/index.js";
import { loadModel, type Model } from "../../src/llama/index.js";
import { renderPage } from "../../src/report/page.js";
import { makeTask, parseTask } from "../../src/tasks/index.js";
import { fragilityFactors } from "../../src/thermostat/scales/fragility.js";
import { Thermostat } from "../../src/thermostat/thermostat.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED audits: ${why}`);

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const text = readFileSync("models/fairytales-heldout.txt", "utf8");
const task = parseTask(makeTask("cloze", { questions: 40, text, seed: 1 }), "cloze");

let model: Model;
beforeAll(async () => {
  const options = { threads: 1, scratch: folder, repack: "off", parallel: 8, contextSize: 64 } as const;
  if (why === undefined) model = await loadModel(MODEL, options);
});
afterAll(() => model?.dispose());

describe("groups", () => {
  it("are told by the names of tensors", () => {
    expect(placeOf("blk.12.ffn_down.weight")).toEqual({ layer: 12, kind: "ffn_down" });
    expect(placeOf("token_embd.weight")).toEqual({ layer: null, kind: "token_embd" });
  });

  it("have every tensor once, and what is no matrix together", async () => {
    const { tensors } = await readModel(MODEL);
    const groups = groupsOf(tensors, false);
    expect(groups.flatMap((group) => group.tensors).sort()).toEqual(tensors.map(({ name }) => name).sort());
    expect(groups.filter(({ kind }) => kind === "ffn_down").map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
    expect(groups.find(({ name }) => name === REST)?.tensors).toHaveLength(9); // two norms a layer, and the last
    expect(groups.reduce((sum, { weights }) => sum + weights, 0)).toBe(2_885_888);
  });
});

describe.skipIf(why !== undefined)("an audit of the embedded model", () => {
  const small: AuditOptions = {
    maxTokens: 64,
    sigmas: [0.05, 0.1, 0.4],
    draws: 2,
    sigma: 0.1,
    seeds: 2,
    only: ["blk.0.*", "blk.3.*"],
    seed: 5n,
  };
  let whole: Audit;

  it("says how KL grows, where the model breaks, and which groups are frail", { timeout: 60_000 }, async () => {
    const progress: number[] = [];
    whole = await audit(model, text, { ...small, onProgress: (done, total) => progress.push(done / total) });
    expect(progress.at(-1)).toBe(1);
    const kls = whole.points.map(({ kl }) => kl);
    expect(kls).toEqual([...kls].sort((a, b) => a - b));
    // To second order KL is a constant times sigma squared: four times from .05 to .1, but for the scatter of two draws each.
    expect((kls[1] as number) / (kls[0] as number)).toBeGreaterThan(2);
    expect((kls[1] as number) / (kls[0] as number)).toBeLessThan(8);
    expect(whole.breaking.sigma).toBeGreaterThan(0.1);
    expect(whole.groups.map(({ layer }) => layer)).toContain(3);
    for (const { fragility, draws } of whole.groups) {
      expect(fragility).toBeCloseTo(((draws[0] as number) + (draws[1] as number)) / 2, 12);
      expect(fragility).toBeGreaterThan(0);
    }
    // The engine's rounding alone costs little beside what moves here.
    expect(whole.floor).toBeGreaterThanOrEqual(0);
    expect(whole.floor).toBeLessThan(0.002);
    // Parts that were moved alone cost together about what the whole does: their noise is independent.
    expect(whole.additivity).toBeGreaterThan(0.5);
    expect(whole.additivity).toBeLessThan(1.5);
    expect(whole.rankCorrelation).toBeGreaterThan(0);
  });

  it("gives the same numbers, also when it was interrupted and goes on", { timeout: 60_000 }, async () => {
    const control = new AbortController();
    const finished = new Map<string, unknown>();
    const interrupted = audit(model, text, {
      ...small,
      signal: control.signal,
      onFinished: async (name, outcome) => {
        finished.set(name, JSON.parse(JSON.stringify(outcome)));
        if (finished.size === 9) control.abort();
      },
    });
    await expect(interrupted).rejects.toThrow(/abort/);
    expect(JSON.stringify(await audit(model, text, { ...small, finished }))).toBe(JSON.stringify(whole));
  });

  it("answers questions under noise, and tells whether that makes it better", { timeout: 60_000 }, async () => {
    const asked: AuditOptions = {
      maxTokens: 32,
      sigmas: [0.05, 1],
      draws: 1,
      only: ["blk.0.*"],
      sigma: 0.1,
      task,
      questions: 12,
      answerTokens: 3,
    };
    const { points, hidden, settings } = await audit(model, text, asked);
    expect(settings.questions).toHaveLength(12);
    for (const { accuracy } of points) {
      expect(accuracy?.value).toBeGreaterThanOrEqual(0);
      expect(accuracy?.value).toBeLessThanOrEqual(1);
    }
    expect(hidden?.ratio.value).toBeCloseTo((hidden?.best as number) / (hidden?.clean as number), 12);
  });

  it("makes a page without a network, and a table", async () => {
    const html = await renderPage(auditPage(whole));
    expect(html).toContain("Fragility by layer and kind");
    expect(html).toContain("--tensor-type blk\\.");
    expect(html).not.toMatch(/<script|src=|href=/);
    expect(auditTable(whole)).toMatch(/KL by σ²/);
  });

  it("is what the scale fragility rests on: the same mean square, less on frail tensors", async () => {
    const path = join(folder, "audit.json");
    writeFileSync(path, JSON.stringify(await audit(model, text, { maxTokens: 32, sigmas: [0.1, 0.2], draws: 1, sigma: 0.1 })));
    const file = await readModel(MODEL);
    const fragilities = await readFragilities(path, file);
    const factors = fragilityFactors(file, fragilities);
    const all = file.tensors.reduce((sum, { weights }) => sum + weights, 0);
    expect(
      file.tensors.reduce((sum, { name, weights }) => sum + weights * (factors.get(name) as number) ** 2, 0) / all,
    ).toBeCloseTo(1, 12);
    const order = [...fragilities].sort((a, b) => a[1] - b[1]).map(([name]) => factors.get(name) as number);
    expect(order).toEqual([...order].sort((a, b) => b - a));
    expect(Math.max(...order) / Math.min(...order)).toBeGreaterThan(1.2);
    const bath = await Thermostat.open(MODEL, { sigma: 0.05, scale: "fragility", audit: path, scratch: folder });
    expect(bath.drawn.changed).toBeGreaterThan(0);
    await bath.close();
  });

  it.each([
    ["{", /no audit that this version reads/],
    [JSON.stringify({ format: "brownian-audit", version: 2, groups: [] }), /no audit/],
    [
      JSON.stringify({ format: "brownian-audit", version: 1, groups: [{ tensors: ["x"], fragility: 1, weights: 1 }] }),
      /another model/,
    ],
    [
      JSON.stringify({
        format: "brownian-audit",
        version: 1,
        groups: [{ tensors: ["output_norm.weight"], fragility: 1, weights: 1 }],
      }),
      /make it anew/,
    ],
  ])("is refused by the scale where it is %s", async (wrong, message) => {
    const path = join(folder, "wrong.json");
    writeFileSync(path, wrong);
    const refused = Thermostat.open(MODEL, { sigma: 0.05, scale: "fragility", audit: path, scratch: folder });
    await expect(refused).rejects.toMatchObject({ code: "usage", message: expect.stringMatching(message) });
  });

  it.each([
    [{ sigmas: [0.1] }, /at least two/],
    [{ sigmas: [0.2, 0.1] }, /sigmas after 0\.2 \(they rise\) must be/],
    [{ seeds: 0 }, /seeds must be/],
    [{ sigma: 0 }, /sigma must be/],
  ])("refuses %j", (wrong, message) =>
    expect(audit(model, text, { ...small, ...wrong })).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    }),
  );
});
