// The map between sigma and softmax temperature, measured: a small calibration, fresh seeds that confirm it, and what is refused.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calibrate, loadModel, type Model } from "../../src/llama/index.js";
import { argmax, logSoftmax, softmaxFlipRate, weightSigma } from "../../src/sampling/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const text = readFileSync("models/fairytales-heldout.txt", "utf8");

describe("on the embedded model", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(MODEL, { threads: 1, scratch: folder });
  });
  afterAll(() => model.dispose());

  it("a text is read as the engine writes: the greedy text is what was expected", async () => {
    const written = await model.complete("Once upon a time", { maxTokens: 30 });
    const expected: boolean[] = [];
    await model.score(`Once upon a time${written.text}`, {}, ({ token, logits }) => expected.push(argmax(logits) === token));
    expect(expected.slice(-25).every((x) => x)).toBe(true);
    let nll = 0;
    const tokens = await model.score(text, { maxTokens: 510 }, ({ token, logits }) => {
      nll -= logSoftmax(logits)[token] as number;
    });
    expect(tokens).toBe(510);
    expect(nll / tokens).toBeGreaterThan(2.5); // 3.155 over the whole text
    expect(nll / tokens).toBeLessThan(3.8);
    await expect(model.score("", {}, () => undefined)).rejects.toMatchObject({ code: "usage" });
  });

  it("measures the same map for the same seed, which fresh seeds confirm", async () => {
    const options = { maxTokens: 255, draws: 2, sigmas: [0.05, 0.2, 0.4], seed: 3n };
    const measured = await calibrate(model, text, options);
    expect(await calibrate(model, text, options)).toEqual(measured);
    const rates = measured.noise.map((p) => p.flipRate);
    expect(rates).toEqual([...rates].sort((a, b) => a - b));
    expect(rates[0]).toBeGreaterThan(0.03);
    expect(rates[1]).toBeLessThan(0.5);
    for (const p of measured.noise) expect(p.low <= p.flipRate && p.flipRate <= p.high).toBe(true);
    expect(measured.breaking.temperature).toBeGreaterThan(0.3);
    expect(measured.breaking.temperature).toBeLessThan(0.7);
    // T = 0.3 with seeds that were not used: as near as 510 tokens can tell, where flips come in bursts (twice the binomial error).
    const sigma = weightSigma(measured, 0.3);
    const [fresh] = (await calibrate(model, text, { ...options, sigmas: [sigma, 1], seed: 99n })).noise;
    const target = softmaxFlipRate(measured, 0.3);
    expect(Math.abs((fresh?.flipRate ?? 0) - target)).toBeLessThan(3 * 2 * Math.sqrt((target * (1 - target)) / 510));
  });

  it("refuses what cannot be measured, and stops when told to", async () => {
    for (const options of [
      { draws: 1 },
      { sigmas: [0.1] },
      { sigmas: [0.1, Number.NaN] },
      { maxTokens: 0 },
      { breakingNats: -1 },
    ])
      await expect(calibrate(model, text, options)).rejects.toMatchObject({ code: "usage" });
    const control = new AbortController();
    const stopped = calibrate(model, text, { maxTokens: 100, signal: control.signal, onProgress: () => control.abort() });
    await expect(stopped).rejects.toThrow(/abort/);
  });
});
