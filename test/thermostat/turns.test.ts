// Nothing that a tick needs is reckoned in one stretch: others have their turn of the event loop after every piece. Told by counting, with a clock of the
// test's own, by which every piece takes as long as a slice may.
import { afterEach, expect, it, vi } from "vitest";
import type { Reader, Tensor } from "../../src/files/index.js";
import type { Step } from "../../src/kernels/step.js";
import type { Evolution } from "../../src/laws/evolution.js";
import { MeanSquares } from "../../src/laws/mean-squares.js";
import { Measures, planMoves } from "../../src/thermostat/draw.js";
import { noiseOf } from "../../src/thermostat/noise.js";

const TENSORS = 100;
/** Tensors that are planned in a turn, where all is known of them. */
const MOST_TENSORS = 8;
const CLASSES = 128;

const tensors = Array.from({ length: TENSORS }, (_, i) => ({ name: `blk.${i}`, type: "Q8_0", weights: 32 }) as unknown as Tensor);

/** Of every tensor, 32 codes far from the rails; their steps differ, so that each asks for mean squares of its own. */
const reader: Pick<Reader, "sumSquares" | "census"> = {
  sumSquares: async () => 32,
  census: async (tensor) => {
    const row = 1900 + 3 * tensors.indexOf(tensor);
    return Float64Array.from({ length: 1 + CLASSES }, (_, i) => (i === 0 ? row : i === CLASSES ? 32 : 0));
  },
};

afterEach(() => {
  vi.restoreAllMocks();
});

it("a turn of the event loop comes after every row of mean squares, and after every eighth tensor", async () => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 1000;
    return now;
  });
  let rows = 0;
  const squares = new MeanSquares(function* (v) {
    yield;
    rows++;
    return new Float64Array(CLASSES).fill(v);
  });
  let planned = 0;
  const law = {
    name: "counted",
    parameters: () => new Float32Array(1),
    stationary: () => {
      planned++;
      return squares;
    },
    step: () => 0,
  } as Evolution;
  const step: Step = { verb: "evolve", law, strength: 0.5, stride: 1 };
  const noise = noiseOf({ sigma: 0.05, seed: 1n });
  const measures = new Measures(reader, { tensors } as never);

  /** The most that is done between two turns. */
  async function most(sigma: number): Promise<{ rows: number; planned: number }> {
    const before = { rows, planned };
    const seen = { rows: 0, planned: 0 };
    let on = true;
    const look = () => {
      for (const what of ["rows", "planned"] as const) {
        const done = what === "rows" ? rows : planned;
        seen[what] = Math.max(seen[what], done - before[what]);
        before[what] = done;
      }
      if (on) setImmediate(look);
    };
    setImmediate(look);
    expect((await planMoves(tensors, noise, sigma, 1, measures, step)).length).toBe(TENSORS);
    on = false;
    look();
    return seen;
  }

  expect(await most(0.05)).toEqual({ rows: 1, planned: MOST_TENSORS });
  expect(rows).toBeGreaterThan(TENSORS / 2);
  const known = rows;
  expect(await most(0.05)).toEqual({ rows: 0, planned: MOST_TENSORS });
  expect([rows, planned]).toEqual([known, 2 * TENSORS]);
});
