// The noise as one value: defaults, what is refused, what makes another of it, and what makes two of them the same draw.
import { expect, it } from "vitest";
import { BrownianError } from "../../src/errors.js";
import { noiseOf, type ThermostatSettings } from "../../src/thermostat/noise.js";
import { SCALES, type ScaleRule, scaleOptions } from "../../src/thermostat/scales/index.js";
import { linear } from "../../src/thermostat/schedule.js";

it("fills in defaults, knows when it is off, and never changes", () => {
  const noise = noiseOf({ sigma: 0.1 });
  expect(noise).toMatchObject({ scale: "rms", rounding: "matched", seed: 0n, tau: 32, skipUnsupported: false });
  expect([noise.file, noise.only, noise.dynamics.name]).toEqual([undefined, undefined, "quenched"]);
  expect([noise.off, noiseOf({ sigma: 0 }).off, noiseOf({ sigma: () => 0 }).off]).toEqual([false, true, false]);
  expect(() => Object.assign(noise, { sigma: 1 })).toThrow(TypeError);
  const only = ["a"];
  const chosen = noiseOf({ sigma: 0.1, only });
  only.push("b");
  expect(chosen.only).toEqual(["a"]);
});

it("says sigma at a tick, by number or schedule", () => {
  expect(noiseOf({ sigma: 0.1 }).at(7)).toBe(0.1);
  const falling = noiseOf({ sigma: linear(1, 0, 4) });
  expect([0, 1, 4].map((tick) => falling.at(tick))).toEqual([1, 0.75, 0]);
});

it("with something else keeps the rest, the scale's file too", () => {
  const noise = noiseOf({ sigma: 0.1, scale: "imatrix", imatrix: "a.gguf", seed: 5, dynamics: "white", tau: 3, only: ["x"] });
  const other = noise.with({ seed: 6n });
  expect(other).toMatchObject({ sigma: 0.1, scale: "imatrix", file: "a.gguf", seed: 6n, tau: 3, only: ["x"] });
  expect(other.dynamics.name).toBe("white");
  expect(noise.seed).toBe(5n);
  expect(noise.with({ scale: "rms", imatrix: undefined, tau: undefined })).toMatchObject({ file: undefined, tau: 32 });
  expect(() => noise.with({ scale: "rms" })).toThrow(/a\.gguf is for the scale imatrix/);
});

it("has one key for one draw of tick 0", () => {
  const settings: ThermostatSettings = { sigma: 0.1, seed: 5n };
  const { key } = noiseOf(settings);
  for (const same of [{}, { sigma: () => 0.1 }, { seed: 5 }, { dynamics: "white" }, { tau: 3 }])
    expect(noiseOf({ ...settings, ...same }).key).toBe(key);
  for (const other of [{ sigma: 0.2 }, { seed: 6n }, { scale: "step" as const }, { rounding: "nearest" as const }])
    expect(noiseOf({ ...settings, ...other }).key).not.toBe(key);
});

it.each([
  [{ sigma: -1 }, /sigma must be/],
  [{ sigma: () => Number.NaN }, /sigma\(0\) must be/],
  [{ sigma: 1, tau: 0 }, /tau must be a number of ticks above 0/],
  [{ sigma: 1, only: [] }, /at least one glob/],
  [{ sigma: 1, scale: "sd" as "rms" }, /scale must be one of rms, absolute, step, imatrix/],
  [{ sigma: 1, rounding: "up" as "nearest" }, /rounding must be one of nearest, stochastic, matched/],
  [{ sigma: 1, dynamics: "brown" }, /dynamics must be one of/],
  [{ sigma: 1, scale: "imatrix" as const, imatrix: "" }, /needs an importance matrix/],
  [
    { sigma: 1, scale: "imatrix" as const, imatrix: "a", rounding: "nearest" as const },
    /needs the rounding matched, not nearest/,
  ],
] as [ThermostatSettings, RegExp][])("refuses %o", (settings, message) => {
  expect(() => noiseOf(settings)).toThrow(BrownianError);
  expect(() => noiseOf(settings)).toThrow(message);
});

it("knows the options of scales from their table, each under a name of its own", () => {
  const names = Object.values<ScaleRule>(SCALES).flatMap(({ file }) => (file === undefined ? [] : [file.option]));
  expect(names).toEqual([...new Set(names)]);
  expect(Object.keys(scaleOptions({}))).toEqual(names);
  expect(scaleOptions({ imatrix: "a.gguf", sigma: 1 } as never)).toEqual({ imatrix: "a.gguf" });
});
