// Buffers that are used again: the ones that were given back, no more of them than were in use at once, and of the sizes that are asked for.
import { describe, expect, it } from "vitest";
import { Spare } from "../../src/kernels/spare.js";

const counted = () => {
  const made: Uint8Array[] = [];
  const spare = new Spare((bytes) => {
    made.push(new Uint8Array(bytes));
    return made.at(-1) as Uint8Array;
  });
  return { made, spare };
};

describe("spare buffers", () => {
  it("are large enough, and the same when they come back", () => {
    const { made, spare } = counted();
    const [one, two] = [spare.take(1), spare.take(100_000)];
    expect(one).not.toBe(two);
    expect(one.length).toBeGreaterThanOrEqual(1);
    expect(two.length).toBeGreaterThanOrEqual(100_000);
    spare.give(two);
    spare.give(one);
    expect(spare.take(90_000)).toBe(two);
    expect(spare.take(50)).toBe(one);
    expect(made).toHaveLength(2);
  });

  it("settle: sizes that repeat, several in use at once, need none after the first rounds", () => {
    const { made, spare } = counted();
    const round = () => {
      for (const size of [10, 300_000, 2_000, 70_000]) {
        const three = [spare.take(size), spare.take(size), spare.take(2 * size)];
        for (const buffer of three) spare.give(buffer);
      }
    };
    for (let i = 0; i < 3; i++) round();
    const settled = made.length;
    for (let i = 0; i < 20; i++) round();
    expect(made).toHaveLength(settled);
  });

  it("are never more than were in use at once, and none when they are cleared", () => {
    const { made, spare } = counted();
    for (let size = 1; size < 5e6; size *= 3) spare.give(spare.take(size)); // each is too small for the next
    const last = made.at(-1);
    expect(spare.take(1)).toBe(last);
    expect(spare.take(1)).not.toBe(last);
    expect(made.slice(0, -2)).not.toContain(last);
    spare.give(last as Uint8Array);
    spare.clear();
    expect(spare.take(1)).not.toBe(last);
  });

  it("are not kept where their memory went elsewhere", () => {
    const spare = new Spare((bytes) => new ArrayBuffer(bytes));
    const gone = spare.take(1);
    structuredClone(gone, { transfer: [gone] });
    spare.give(gone);
    expect(spare.take(0)).not.toBe(gone);
  });
});
