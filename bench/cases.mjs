// What is measured: one table of cases. A case makes, on given kernels and for a given working set, the call that is timed (a plain function,
// or one that returns a promise). All that is made beforehand (buffers, codes, keys) is made outside the timing; every call writes to memory
// or to `sink`, so that none can be optimized away.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodedFormat, formatNamed } from "../dist/lattice/formats.js";
import { perturb } from "../dist/lattice/perturb.js";
import { perturbAsync } from "../dist/lattice/perturb-async.js";
import { Rounding } from "../dist/laws/numbers.js";
import { Noise } from "../dist/noise/index.js";
import { I8_STEP, realisticWeights, sigmaFor } from "./weights.mjs";

/** Bytes of the buffer that a call works on: within the second-level cache, and well beyond the last. */
export const WORKING_SETS = { L2: 1 << 18, memory: 1 << 26 };

/** Where results go that nothing else keeps. */
export const sink = { value: 0 };

const FEW = 64; // weights a call where the call itself is measured

/** A fill of a typed array with noise. */
const noise = (name, group = "noise") => ({
  name,
  group,
  make(kernels, bytes) {
    const out = new Float32Array(bytes / 4);
    const stream = new Noise(1n, kernels).stream("bench");
    let tick = 0;
    return { elements: out.length, bytes, call: () => stream[name](out, { tick: tick++ }) };
  },
});

/** A draw of `matched` on weights of a type, of s steps (of floats: s times their standard deviation). */
const move = (name, group, type, s) => ({
  name,
  group,
  make(kernels, bytes, run = perturb) {
    const { data, elements, draws } = moving(type, s, bytes);
    const options = { type, sigma: sigmaFor(type, data, s), seed: 1n, ...(type === "I8" && { step: I8_STEP }) };
    let tick = 0;
    return { elements, bytes: data.length, call: () => run(draws(), { ...options, tick: tick++ }, kernels) };
  },
});

/**
 * Weights to move again and again. Moves add up, and codes of few bits would soon all lie on their rails, where nothing moves: `draws` gives
 * the data, copied back from the first ones whenever the moves' standard deviation has reached a quarter of the codes' own.
 */
function moving(type, s, bytes) {
  const { data, elements, spread } = realisticWeights(type, bytes);
  const pristine = data.slice();
  const often = Math.ceil((spread / 4 / s) ** 2);
  let calls = 0;
  const draws = () => {
    if (calls++ % often === 0 && calls > 1) data.set(pristine);
    return data;
  };
  return { data, elements, draws };
}

/** The same on threads: one call is a promise. */
const threads = (name, type, s) => ({
  name,
  group: "threads",
  make: (kernels, bytes) => move(name, "threads", type, s).make(kernels, bytes, perturbAsync),
});

/** What a Thermostat does at every tick of rare moves: takes the last ones back and makes new ones, by an index of the steps, in a mapped file. */
const redraw = (type, s) => ({
  name: `redraw ${type} s2=${(s * s).toPrecision(1)}`,
  group: "redraw",
  make(kernels, bytes) {
    const { data, elements } = realisticWeights(type, bytes);
    const format = encodedFormat(formatNamed(type));
    const folder = mkdtempSync(join(tmpdir(), "brownian-bench-"));
    const written = (name) => {
      writeFileSync(join(folder, name), data);
      return join(folder, name);
    };
    const live = kernels.files.mapLive(written("live"), kernels.files.map(written("pristine")));
    // A mapping outlives its name, so that a killed run leaves nothing; Windows keeps names as long as there is one.
    if (process.platform === "win32") process.on("exit", () => rmSync(folder, { recursive: true }));
    else rmSync(folder, { recursive: true });
    const sigma = Math.fround(sigmaFor(type, data, s));
    const key = { k0: 1, k1: 2 };
    const move = { format, sigma, inSteps: false, steps: null, rowLength: 1, rounding: Rounding.matched, key };
    let tick = 0;
    const call = async () => {
      // The first draw moves a fresh copy, the second makes the index.
      sink.value += await live.perturb({ offset: 0, bytes: data.length }, { ...move, tick: tick++ });
    };
    return { elements, bytes: data.length, call };
  },
});

/** The sum of squares that the relative sigma needs. */
const rms = (type) => ({
  name: `RMS ${type}`,
  group: "rms",
  make(kernels, bytes) {
    const { data, elements } = realisticWeights(type, bytes);
    const format = encodedFormat(formatNamed(type));
    return {
      elements,
      bytes: data.length,
      call: () => {
        sink.value += kernels.sumSquares(data, format, null, 1, 0, 0);
      },
    };
  },
});

/** Calls on a handful of elements, as users write them: the time is of the facade more than of the kernel. */
const fewNoise = (name, make) => ({
  name: `stream.${name}`,
  group: "calls",
  make(kernels, _, few = FEW) {
    const out = make(few);
    const stream = new Noise(1n, kernels).stream("bench");
    let tick = 0;
    return { elements: few, bytes: 4 * few, call: () => stream[name](out, { index: 0, tick: tick++ & 0xffff }) };
  },
});

const fewMoves = (type, s, what = "") => ({
  name: `perturb ${type}${what}`,
  group: "calls",
  make(kernels, _, few = FEW) {
    const format = formatNamed(type);
    const { data, draws } = moving(type, s, (few / format.weights) * format.bytes);
    const sigma = sigmaFor(type, data, s);
    const step = type === "I8" ? I8_STEP : undefined;
    let tick = 0;
    return {
      elements: few,
      bytes: data.length,
      call: () => {
        tick = (tick + 1) & 0xffff;
        sink.value += perturb(draws(), { type, sigma, step, seed: 42n, name: "blk.0.attn_q.weight", tick }, kernels).changed;
      },
    };
  },
});

const RARE = Math.sqrt(0.001);

/** Name, group (a table of its own in the report), and how to make the call. */
export const CASES = [
  noise("uniform"),
  noise("normal"),
  move("int8 s=1", "dense", "I8", 1),
  move("Q8_0 s=1", "dense", "Q8_0", 1),
  move("Q4_0 s=0.3", "dense", "Q4_0", 0.3),
  move("Q4_K s=0.3", "dense", "Q4_K", 0.3),
  move("IQ4_NL s=0.3", "dense", "IQ4_NL", 0.3),
  move("MXFP4 s=0.3", "dense", "MXFP4", 0.3),
  move("F32 sigma=0.03", "dense", "F32", 0.03),
  move("F16 sigma=0.03", "dense", "F16", 0.03),
  move("BF16 sigma=0.03", "dense", "BF16", 0.03),
  move("int8 s2=0.001", "sparse", "I8", RARE),
  move("Q8_0 s2=0.001", "sparse", "Q8_0", RARE),
  move("Q4_0 s2=0.001", "sparse", "Q4_0", RARE),
  move("Q4_K s2=0.001", "sparse", "Q4_K", RARE),
  redraw("Q8_0", RARE),
  redraw("Q4_0", RARE),
  redraw("Q4_K", RARE),
  rms("Q8_0"),
  rms("Q4_0"),
  rms("F16"),
  rms("F32"),
  threads("int8 s=1", "I8", 1),
  threads("Q4_0 s=0.3", "Q4_0", 0.3),
  fewNoise("bits", (n) => new Uint32Array(n)),
  fewNoise("uniform", (n) => new Float32Array(n)),
  fewNoise("normal", (n) => new Float32Array(n)),
  fewMoves("I8", 1),
  fewMoves("Q8_0", 1),
  fewMoves("Q8_0", RARE, " s2=0.001"),
];

/** The case of this group and name. */
export function caseNamed(group, name) {
  const found = CASES.find((c) => c.group === group && c.name === name);
  if (found === undefined) throw new Error(`no case ${group}/${name}`);
  return found;
}
