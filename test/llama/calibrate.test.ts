// The map between sigma and softmax temperature: the arithmetic on a profile, a small measurement, and what is refused.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { profilePath, readProfile, writeProfile } from "../../src/cli/profile.js";
import { calibrate, loadModel, type Model } from "../../src/llama/index.js";
import { monotone } from "../../src/sampling/calibration.js";
import { argmax, logSoftmax, noiseFlipRate, type Profile, softmaxFlipRate, weightSigma } from "../../src/sampling/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const MODEL = "models/fairytales-3M-Q8_0.gguf";
const text = readFileSync("models/fairytales-heldout.txt", "utf8");

const point = (sigma: number, flipRate: number) => ({
  sigma,
  flipRate,
  low: flipRate,
  high: flipRate,
  smoothed: flipRate,
  error: 0.02,
  kl: 0,
  nll: 3,
});
const profile: Profile = {
  format: "brownian-calibration",
  version: 2,
  model: { file: "m.gguf", bytes: 1, sha256: "" },
  text: { sha256: "", tokens: 100 },
  settings: { scale: "rms", rounding: "matched", dynamics: "quenched", seed: "0", draws: 1 },
  nll: 3,
  noise: [point(0.05, 0.1), point(0.1, 0.2), point(0.2, 0.4)],
  softmax: [
    { temperature: 0.1, flipRate: 0.1 },
    { temperature: 0.2, flipRate: 0.3 },
    { temperature: 0.4, flipRate: 0.5 },
  ],
  breaking: { nats: 0.25, sigma: 0.15, temperature: 0.2 },
};

describe("a profile", () => {
  it("goes from temperature to sigma by equal flip rates", () => {
    expect(softmaxFlipRate(profile, 0.15)).toBeCloseTo(0.2, 12);
    expect(weightSigma(profile, 0.15)).toBeCloseTo(0.1, 12);
    expect(weightSigma(profile, 0.05)).toBeCloseTo(0.025, 12);
    expect(weightSigma(profile, 0)).toBe(0);
    expect(noiseFlipRate(profile, 0.15)).toBeCloseTo(0.3, 12);
    for (const temperature of [0.02, 0.1, 0.17, 0.2])
      expect(noiseFlipRate(profile, weightSigma(profile, temperature))).toBeCloseTo(softmaxFlipRate(profile, temperature), 12);
  });

  it("ends where the model breaks, unless forced, and where nothing was measured", () => {
    expect(() => weightSigma(profile, 0.25)).toThrow(/T = 0.25 without breaking this model: from T = 0.2 \(sigma 0.15\)/);
    expect(weightSigma(profile, 0.25, true)).toBeGreaterThan(0.1);
    expect(() => weightSigma(profile, 0.4, true)).toThrow(/flip rates of 0.4, but softmax at T = 0.4 has 0.5/);
    expect(() => weightSigma(profile, 0.5)).toThrow(/from 0 to 0.4, but is 0.5/);
    expect(() => weightSigma(profile, Number.NaN)).toThrow(/NaN/);
    expect(() => weightSigma(profile, -1)).toThrow(/-1/);
  });

  it("pools what falls", () => {
    expect(monotone([1, 3, 2, 4])).toEqual([1, 2.5, 2.5, 4]);
    expect(monotone([3, 2, 1])).toEqual([2, 2, 2]);
    expect(monotone([])).toEqual([]);
  });
});

describe("on the embedded model", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadModel(MODEL, { threads: 1, scratch: folder });
  }, 60_000);
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
  }, 60_000);

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

describe("profiles on disk", () => {
  it("lie beside the model, and are of it alone", async () => {
    const path = join(folder, "m.gguf");
    copyFileSync(MODEL, path);
    await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/m\.gguf has no calibration yet .*m\.calibration\.json.*brownian calibrate/),
    });
    const own = JSON.parse(readFileSync(profilePath(MODEL), "utf8")) as Profile;
    await writeProfile(own, profilePath(path), path);
    expect(await readProfile(profilePath(path), path)).toEqual(own);
    const data = readFileSync(path);
    data[data.length - 1] = (data[data.length - 1] as number) ^ 1;
    writeFileSync(path, data);
    await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(/of another model \(fairytales-3M-Q8_0\.gguf/),
    });
    for (const broken of ["", "{}", JSON.stringify({ ...own, version: 1 }), JSON.stringify({ ...own, noise: [] })]) {
      writeFileSync(profilePath(path), broken);
      await expect(readProfile(profilePath(path), path)).rejects.toMatchObject({
        message: expect.stringMatching(/no calibration/),
      });
    }
  });
});
