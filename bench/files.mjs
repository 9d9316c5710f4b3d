// A model file of 1 GB, made here, moved from the page cache into a new file, against `cp` of the same file. Rounds alternate between the
// two and the sigmas; every run of the library is a process of its own.

import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realisticWeights } from "./weights.mjs";

const ROWS = 1 << 16;
const COLUMNS = 1 << 12;
// Four tensors of ROWS x COLUMNS Q8_0 weights: 1.14 GB together.
const CHUNK = 1 << 26;
/** Relative sigmas: most weights move, and one in fifty. */
const SIGMAS = [0.05, 0.002];

/** [{ what, seconds, spread }], medians of at least three rounds, in a folder that is removed afterwards. */
export async function measureFiles(folder = tmpdir(), rounds = 3) {
  const scratch = mkdtempSync(join(folder, "brownian-bench-"));
  const clean = () => rmSync(scratch, { recursive: true, force: true });
  process.once("SIGINT", () => {
    clean();
    process.exit(130);
  });
  try {
    const model = join(scratch, "model.gguf");
    writeModel(model);
    return measureIn(scratch, model, Math.max(3, rounds));
  } finally {
    clean();
  }
}

function measureIn(scratch, model, rounds) {
  const out = join(scratch, "out.gguf");
  const library = new URL("../dist/index.js", import.meta.url).href;
  const move = (sigma) =>
    seconds(process.execPath, [
      "--input-type=module",
      "-e",
      `const { perturbFile } = await import(${JSON.stringify(library)});
       const began = performance.now();
       await perturbFile(${JSON.stringify(model)}, ${JSON.stringify(out)}, { sigma: ${sigma}, seed: 1n });
       console.log((performance.now() - began) / 1000);`,
    ]);
  const jobs = [
    { what: "cp", run: () => copySeconds(model, out) },
    ...SIGMAS.map((sigma) => ({ what: `perturb, sigma ${sigma} RMS`, run: () => move(sigma) })),
  ];
  const times = jobs.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, job] of jobs.entries()) {
      rmSync(out, { force: true });
      spawnSync("sync"); // what the last run left to be written to the disk would slow this one down
      times[i].push(job.run());
    }
  }
  const bytes = statSync(model).size;
  return jobs.map(({ what }, i) => {
    const sorted = times[i].sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1];
    return { what, bytes, seconds: median, spread: (sorted.at(-1) - sorted[0]) / median };
  });
}

/** `cp` by the clock here: a start of a process (1 ms) is in it. */
function copySeconds(from, to) {
  const began = performance.now();
  const { status, stderr } = spawnSync("cp", [from, to], { encoding: "utf8" });
  if (status !== 0) throw new Error(`cp: ${stderr}`);
  return (performance.now() - began) / 1000;
}

/** Runs a command that prints its own time. */
function seconds(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${command}: ${result.stderr}`);
  return Number(result.stdout);
}

/** A GGUF file (version 3) of a few large Q8_0 tensors, written in chunks. */
export function writeModel(path, TENSORS = 4) {
  const u32 = (n) => Buffer.from(Uint32Array.of(n).buffer);
  const u64 = (n) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
  const text = (s) => Buffer.concat([u64(s.length), Buffer.from(s)]);
  const tensorBytes = ((ROWS * COLUMNS) / 32) * 34;
  const infos = Array.from({ length: TENSORS }, (_, i) =>
    Buffer.concat([text(`blk.${i}.ffn_up.weight`), u32(2), u64(COLUMNS), u64(ROWS), u32(8), u64(i * tensorBytes)]),
  );
  const header = Buffer.concat([
    Buffer.from("GGUF"),
    u32(3),
    u64(TENSORS),
    u64(1),
    text("general.architecture"),
    u32(8),
    text("llama"),
    ...infos,
  ]);
  const file = openSync(path, "w");
  writeSync(file, Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32)]));
  const chunk = realisticWeights("Q8_0", CHUNK).data;
  for (let left = TENSORS * tensorBytes; left > 0; left -= chunk.length) writeSync(file, chunk, 0, Math.min(left, chunk.length));
  closeSync(file);
}
