// What every dynamics says of itself is what a live file does: correlation and variance of a million weights, over the whole table.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { autocorrelation } from "../../src/compare/index.js";
import { COLLISION_CELL } from "../../src/laws/numbers.js";
import { DYNAMICS, type DynamicsName } from "../../src/thermostat/index.js";
import { scratchFolder, writeGguf } from "../support/synthetic-gguf.js";

const folder = scratchFolder();
const path = join(folder, "even.gguf");
const WEIGHTS = 1 << 20;
const CELLS = WEIGHTS / COLLISION_CELL;
// Q8_0 blocks of step 1/16 whose codes are 16 and -16: the RMS is 1, and the ends of the range are 111 steps away.
const block = Uint8Array.of(0x00, 0x2c, ...Array.from({ length: 32 }, (_, i) => (i % 2 === 0 ? 16 : 0xf0)));
writeGguf(path, [{ name: "a", type: "Q8_0", shape: [32, WEIGHTS / 32], data: { repeat: block } }]);

const TAU = 8;
const SIGMA = 0.1; // 1.6 steps

describe.each(Object.keys(DYNAMICS) as DynamicsName[])("%s", (dynamics) => {
  const { theory } = DYNAMICS[dynamics];

  it.each([{ ticks: [0, 1, 4, 8, 16] }, { ticks: [4, 5, 12] }])(
    "remembers and spreads as it says, at ticks $ticks",
    async ({ ticks }) => {
      const curve = await autocorrelation(path, { sigma: SIGMA, dynamics, tau: TAU, ticks, seed: 5n, scratch: folder });
      expect(curve.map((one) => one.tick)).toEqual(ticks);
      const from = ticks[0] as number;
      for (const { tick, correlation, variance, theory: said } of curve) {
        expect(said).toEqual({ correlation: theory.correlation(tick - from, TAU, from), variance: theory.variance(tick, TAU) });
        // Five standard errors of a mean of what is independent at the least: cells collide together (a coin each, standard deviation 1/2),
        // and products of two weights have one of s^2. Squares have one of 1.5 s^2; langevin's stationary law is known to 1 %.
        const error = 5 * (0.5 / Math.sqrt(CELLS) + 1 / Math.sqrt(WEIGHTS));
        expect(Math.abs(correlation - said.correlation)).toBeLessThan(error);
        expect(Math.abs(variance - said.variance)).toBeLessThan(0.01 * Math.max(said.variance, 1));
      }
    },
  );
});

it("refuses ticks that do not rise", async () => {
  for (const ticks of [[1, 1], [2, 0], [-1]])
    await expect(autocorrelation(path, { sigma: SIGMA, ticks, scratch: folder })).rejects.toMatchObject({ code: "usage" });
});
