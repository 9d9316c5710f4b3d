// Which weights are visited at a tick: all of them once in a stride, in stretches of whole cells that are as long as one another.
import { describe, expect, it } from "vitest";
import { CELL, MOST_STRIDE } from "../../src/laws/numbers.js";
import { visited } from "../../src/laws/visits.js";

const key = { k0: 0xfffffffd, k1: 5 };

describe.each([0, 1, CELL - 1, CELL, 5 * CELL + 32, 1_000_000, 2 ** 40])("of %d weights", (weights) => {
  it.each([1, 2, 3, 16, 1000])("all are visited once in %d ticks", (stride) => {
    const cells = Math.ceil(weights / CELL);
    const stretches = Array.from({ length: stride }, (_, i) => visited(weights, { key, tick: 77 + i }, stride));
    const inOrder = [...stretches].sort((a, b) => a.from - b.from || a.to - b.to);
    let at = 0;
    for (const { from, to } of inOrder) {
      expect(from).toBe(at);
      expect(from === weights || from % CELL === 0).toBe(true);
      const own = Math.ceil(to / CELL) - Math.ceil(from / CELL);
      expect(Math.abs(own - cells / stride)).toBeLessThan(1);
      at = to;
    }
    expect(at).toBe(weights);
    expect(visited(weights, { key, tick: 77 + stride }, stride)).toEqual(stretches[0]);
  });
});

it("tensors are visited in phases of their own, ticks one stretch after the other", () => {
  const at = (k0: number, tick: number) => visited(16 * CELL, { key: { k0, k1: 0 }, tick }, 16).from / CELL;
  expect([3, 4, 5].map((tick) => at(0, tick))).toEqual([3, 4, 5]);
  expect([3, 4, 5].map((tick) => at(12, tick))).toEqual([15, 0, 1]);
});

it("the last tick and the longest stride are whole numbers still", () => {
  const weights = 2 ** 45;
  const { from, to } = visited(weights, { key, tick: 2 ** 32 - 1 }, MOST_STRIDE);
  expect(to - from).toBe(weights / MOST_STRIDE);
  expect(from % CELL).toBe(0);
});
