// npm run trial:gpu -- --package NAME: do adapters move what lies on a GPU? A folder of its own gets the engine with that package of node-llama-cpp's
// (default: linux-x64-vulkan; this project's overrides replace it by an empty one), and each case runs in a child process, since a driver's fault
// ends it: all layers offloaded, clean text, members of adapters, clean text again, a quenched draw, and a dynamics that must be refused. Without a
// GPU, Mesa's software driver does (Debian: mesa-vulkan-drivers, of Debian 12 its backports: 22.3.6 ends amid it, docs/results/robustness.md), which
// ggml takes with GGML_VK_VISIBLE_DEVICES=0: slow, but the real path.
// Takes --model FILE, --layers N, --keep (the folder). Prints Markdown; exit code 1 where a case does not hold.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { values } = parseArgs({
  options: {
    package: { type: "string", default: "linux-x64-vulkan" },
    model: { type: "string", default: join(ROOT, "models/fairytales-3M-Q8_0.gguf") },
    layers: { type: "string", default: "999" },
    keep: { type: "boolean", default: false },
  },
});

/** What a child does: a list of texts, each with what the library is told. */
const CASES = [
  ["clean text, 4 tokens", [{ maxTokens: 4 }]],
  ["a member, prompt of one token, 1 token", [{ prompt: "a", maxTokens: 1, member: 0 }]],
  ["a member, prompt of several, 1 token", [{ maxTokens: 1, member: 0 }]],
  ["a member, 4 tokens", [{ maxTokens: 4, member: 0 }]],
  ["a member, 16 tokens", [{ maxTokens: 16, member: 0 }]],
  ["a member of rank 4, 4 tokens", [{ maxTokens: 4, member: 0, rank: 4 }]],
  ["clean, a member, clean: 4 tokens each", [{ maxTokens: 4 }, { maxTokens: 4, member: 0 }, { maxTokens: 4 }]],
  [
    "two members in turn, 4 tokens each",
    [
      { maxTokens: 4, member: 0 },
      { maxTokens: 4, member: 1 },
    ],
  ],
  ["a quenched draw, which loads the moved file", [{ maxTokens: 4, dynamics: "quenched" }]],
  ["a dynamics that moves is refused", [{ maxTokens: 4, dynamics: "andersen" }]],
];

const CHILD = `
import { loadModel } from "./dist/llama/index.js";
const { model: path, layers, texts } = JSON.parse(process.argv[2]);
const model = await loadModel(path, { threads: 1, contextSize: 256, gpuLayers: layers, repack: "off" });
const said = [];
for (const { prompt = "Once upon a time", maxTokens, member, rank = 1, dynamics } of texts) {
  const noise = member !== undefined ? { sigma: 0.1, carrier: "adapter", rank, member } : dynamics === undefined ? { sigma: 0 } : { sigma: 0.1, dynamics };
  said.push(await model.complete(prompt, { maxTokens, endless: true, seed: 1n, ...noise }).then(({ text }) => text, ({ code }) => "refused: " + code));
}
await model.dispose();
console.log(JSON.stringify(said));
`;

function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: "utf8", ...options });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr || result.error}`);
  return result.stdout;
}

const folder = mkdtempSync(join(tmpdir(), "brownian-trial-"));
let failed = false;
try {
  for (const part of ["dist", "build/Release", "models", "package.json"])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@node-llama-cpp"), { recursive: true });
  const own = ["node-llama-cpp", "@node-llama-cpp", ".bin", ".package-lock.json"];
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (!own.includes(name)) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  cpSync(join(ROOT, "node_modules/node-llama-cpp"), join(modules, "node-llama-cpp"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules/@node-llama-cpp")))
    if (name !== values.package)
      symlinkSync(join(ROOT, "node_modules/@node-llama-cpp", name), join(modules, "@node-llama-cpp", name));
  const { version } = JSON.parse(readFileSync(join(modules, "node-llama-cpp/package.json"), "utf8"));
  const packed = run("npm", ["pack", "--silent", `@node-llama-cpp/${values.package}@${version}`], { cwd: folder }).trim();
  run("tar", ["xzf", packed], { cwd: folder });
  cpSync(join(folder, "package"), join(modules, "@node-llama-cpp", values.package), { recursive: true });
  writeFileSync(join(folder, "child.mjs"), CHILD);

  const child = (layers, texts) => {
    const task = JSON.stringify({ model: resolve(values.model), layers, texts });
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["child.mjs", task], {
      cwd: folder,
      encoding: "utf8",
    });
    if (status === 0) return JSON.parse(stdout.trim().split("\n").at(-1));
    return `${signal ?? `exit code ${status}`}: ${stderr.trim().split("\n").filter(Boolean).at(-1) ?? ""}`;
  };
  console.log("| case | on the GPU | the same text as on processors |\n|---|---|---|");
  for (const [what, texts] of CASES) {
    const there = child(Number(values.layers), texts);
    const here = child(0, texts);
    const refused = what.endsWith("refused");
    const holds = refused ? there[0] === "refused: not-live" : Array.isArray(there);
    failed ||= !holds;
    const same =
      Array.isArray(there) && !refused
        ? JSON.stringify(there) === JSON.stringify(here)
          ? "yes"
          : `no: ${JSON.stringify([there, here])}`
        : "";
    console.log(`| ${what} | ${holds ? "holds" : there} | ${same} |`);
  }
} finally {
  if (values.keep) console.log(folder);
  else rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;
