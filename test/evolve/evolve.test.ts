// Searches on the embedded model: that rewards are learned from, that a log makes the model again, and what is refused, by name.
import { createHash } from "node:crypto";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type EvolveOptions, evolve, type LogGeneration, type Question, readLog, replay } from "../../src/evolve/index.js";
import { liveCopies } from "../support/live-copies.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const model = (type: string) => `models/fairytales-3M-${type}.gguf`;
const folder = scratchFolder();
const file = (name: string) => join(folder, name);
const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const scratch = scratchFolder();
afterAll(() => expect([readdirSync(scratch), liveCopies(scratch)]).toEqual([[], []]));

const WHO = ["king", "queen", "wolf", "bear", "fox", "miller", "tailor", "soldier", "giant", "witch", "hunter", "bird"];
const task: Question[] = WHO.map((who) => ({ prompt: `There was once a ${who} who was very`, answer: " happy" }));
const common = { task, validation: 0.5, sigma: 0.05, rate: 2, population: 8, batch: 6, threads: 1, scratch, only: ["blk.*"] };
const search = (options: Partial<EvolveOptions> = {}, type = "Q8_0") => evolve(model(type), { ...common, ...options });

describe("evolve", () => {
  it("learns from rewards, p < 0.01 against rewards that were shuffled among the members", async () => {
    const gains: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      const { before, after } = await search({ generations: 6, seed, shuffled: true });
      gains.push(after.reward - before.reward);
    }
    const { before, after, history, changed, weights } = await search({ generations: 6, seed: 1 });
    const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
    const square = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / (gains.length - 1);
    // One more run of the five would be as far from their mean with p = 0.01 by Student's t of 4 degrees of freedom: 3.747.
    expect(after.reward - before.reward).toBeGreaterThan(mean + 3.747 * Math.sqrt(square * (1 + 1 / gains.length)));
    expect(history).toHaveLength(6);
    expect(changed).toBeGreaterThan(0.3 * weights);
  });
});
