// node scripts/check/stream.mjs MODE [--gigabytes 4] [--skip 0]: random bits on stdout, for batteries of tests (docs/theory/randomness.md).
//   raw       one stream, word after word
//   tensors   64 tensors whose names differ in a number, in turn: the first word of each, the second of each, ...
//   ticks     one tensor at ticks 0...63, in turn
//   seeds     one tensor under seeds 0...63, in turn
//   purposes  the kinds of draws of one tensor (src/kernels/contract.ts), the 140 classes of rare moves of rows among them, in turn
// Interleaved, what neighbours have in common becomes a pattern within one stream. --skip leaves out that many gigabytes (of 2^30 bytes) at the beginning.
import { writeSync } from "node:fs";
import { parseArgs } from "node:util";
import { selection } from "../../dist/kernels/select.js";
import { Purpose } from "../../dist/laws/numbers.js";
import { streamKey } from "../../dist/noise/index.js";

const NAME = "blk.0.attn_q.weight";
const SEED = 42n;
const NEIGHBOURS = 64;
/** Classes of rare moves: src/laws/rare-rows.ts. */
const CLASSES = Array.from({ length: 140 }, (_, i) => (86 << 2) + i);
/** Words of one stream that are made at a time. */
const BATCH = 1 << 14;

const kernels = selection().kernels;
const neighbours = (one) => Array.from({ length: NEIGHBOURS }, (_, i) => one(i));
const stream = ({ name = NAME, seed = SEED, tick = 0, purpose = Purpose.Bits }) => ({
  key: streamKey(seed, name),
  tick,
  purpose,
});
const { Hit, ...plain } = Purpose;

const MODES = {
  raw: [stream({})],
  tensors: neighbours((i) => stream({ name: `blk.${i}.attn_q.weight` })),
  ticks: neighbours((i) => stream({ tick: i })),
  seeds: neighbours((i) => stream({ seed: BigInt(i) })),
  purposes: [
    ...Object.values(plain).map((purpose) => stream({ purpose })),
    ...CLASSES.map((rareClass) => stream({ purpose: Hit + 256 * rareClass })),
  ],
};

/** Words [from, from + BATCH) of each stream, one of each in turn. */
function interleaved(streams, from, out) {
  const words = new Uint32Array(BATCH);
  const block = from / 4;
  streams.forEach(({ key, tick, purpose }, s) => {
    kernels.bits(words, key, { blockLo: block >>> 0, blockHi: Math.floor(block / 2 ** 32), skip: 0, tick, purpose });
    if (streams.length === 1) out.set(words);
    else for (let i = 0, at = s; i < BATCH; i++, at += streams.length) out[at] = words[i];
  });
}

/** Writes all of it; false when the reader has had enough. */
function write(bytes) {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      if (error.code === "EPIPE" || error.code === "ECONNRESET") return false;
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
  return true;
}

const { values, positionals } = parseArgs({
  options: { gigabytes: { type: "string", default: "4" }, skip: { type: "string", default: "0" } },
  allowPositionals: true,
});
const streams = MODES[positionals[0]];
if (streams === undefined) {
  console.error(`which stream? ${Object.keys(MODES).join(", ")}`);
  process.exit(2);
}
const out = new Uint32Array(BATCH * streams.length);
const bytes = new Uint8Array(out.buffer);
const rounds = (gigabytes) => Math.ceil((Number(gigabytes) * 2 ** 30) / bytes.length);
const first = rounds(values.skip);
for (let round = first, end = first + rounds(values.gigabytes); round < end; round++) {
  interleaved(streams, round * BATCH, out);
  if (!write(bytes)) break;
}
