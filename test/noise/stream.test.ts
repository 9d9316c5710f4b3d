// The streams that batteries of tests read (scripts/check/stream.mjs) are the library's own noise, interleaved as they say.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { Noise } from "../../src/noise/index.js";
import { fastest } from "../support/backends.js";
import { sameBits } from "../support/bits.js";

const script = fileURLToPath(new URL("../../scripts/check/stream.mjs", import.meta.url));
const NAME = "blk.0.attn_q.weight";

/** The first `n` words of a stream. */
function words(n: number, ...args: string[]): Uint32Array {
  const { stdout } = spawnSync(process.execPath, [script, ...args, "--gigabytes", "0.004"], { maxBuffer: 1 << 26 });
  expect(stdout.length).toBeGreaterThanOrEqual(0.004 * 2 ** 30);
  return new Uint32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + 4 * n));
}

const one = (seed: bigint, name: string, n: number, tick = 0, index = 0) =>
  new Noise(seed, fastest).stream(name).bits(new Uint32Array(n), { tick, index });

it("raw", () => {
  expect(sameBits(words(20_000, "raw"), one(42n, NAME, 20_000))).toBe(true); // more than one batch
});

it("raw, further on", () => {
  expect(sameBits(words(1000, "raw", "--skip", "4"), one(42n, NAME, 1000, 0, 2 ** 30))).toBe(true);
});

it.each([
  { mode: "tensors", neighbour: (i: number, n: number) => one(42n, `blk.${i}.attn_q.weight`, n) },
  { mode: "ticks", neighbour: (i: number, n: number) => one(42n, NAME, n, i) },
  { mode: "seeds", neighbour: (i: number, n: number) => one(BigInt(i), NAME, n) },
])("$mode: 64 neighbours in turn", ({ mode, neighbour }) => {
  const n = 1000;
  const mixed = words(64 * n, mode);
  for (let i = 0; i < 64; i++) {
    const ofOne = Uint32Array.from({ length: n }, (_, at) => mixed[64 * at + i] as number);
    expect(sameBits(ofOne, neighbour(i, n)), `neighbour ${i}`).toBe(true);
  }
});
