// The table of docs/results/liveness.md: of every type, which classes of tensors the engine sees moving, with and without rearranged weights.
// Run by hand after `npm run setup`: node scripts/figures/liveness.mjs. It needs the engine llama-c.
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../dist/llama/index.js";
import { TYPES, writeTransformer } from "../check/small-models.mjs";

const PROMPT = "Once upon a time";
const PLAIN = { maxTokens: 12, endless: true };
const MOVED = { ...PLAIN, sigma: 0.2, dynamics: "white", seed: 1n };

/** What is seen, and whether the clean text comes back after one whose weights moved at every token. */
async function look(path, repack, scratch) {
  const model = await loadModel(path, { threads: 1, engine: "llama-c", repack, scratch });
  try {
    const { live, dead } = await model.probe();
    const clean = await model.complete(PROMPT, PLAIN);
    const way = dead.length === 0 ? MOVED : { ...MOVED, dynamics: "quenched" };
    const moved = await model.complete(PROMPT, way);
    const again = await model.complete(PROMPT, PLAIN);
    const back = moved.changed > 0 && `${again.ids}` === `${clean.ids}`;
    return { live, dead, back };
  } finally {
    await model.dispose();
  }
}

const folder = mkdtempSync(join(tmpdir(), "brownian-liveness-"));
try {
  console.log(`${cpus()[0]?.model}; classes of tensors seen, of all\n`);
  console.log("| type | not rearranged | rearranged where llama.cpp does that | not seen then | clean text again |");
  console.log("| --- | ---: | ---: | --- | --- |");
  for (const type of TYPES) {
    const path = join(folder, `${type}.gguf`);
    await writeTransformer(path, { type });
    const off = await look(path, "off", folder);
    const on = await look(path, "on", folder);
    const seen = ({ live, dead }) => `${live.length} of ${live.length + dead.length}`;
    const names = on.dead.map(({ name }) => name.replace(/^\S+ (blk\.\*\.)?/, "").replace(/\.weight$/, ""));
    console.log(`| ${type} | ${seen(off)} | ${seen(on)} | ${names.join(", ")} | ${off.back && on.back ? "yes" : "no"} |`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
