// npm run bench:peers: the current PyTorch, NumPy and JAX against this library, in one run, on one thread and on all. Makes a virtual environment
// with them in .scratch/peers (6 GB; --python names another interpreter that has them). Prints a page of Markdown; with --out, it is written
// after every round, so that a run that is cut short leaves what it has. A run of five rounds takes about five minutes on a quiet machine.

import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import picomatch from "picomatch";
import { page } from "./peers-page.mjs";
import { ALL_THREADS, ownRate, Peers, SCRIPT } from "./peers-work.mjs";

const PACKAGES = ["torch==2.15.0", "numpy==2.4.6", "jax==0.10.2"];
const SIZES = { small: 2 ** 18, large: 2 ** 24 };
/** Seconds that a case may take in all: most of it is for compilers. */
const PATIENCE = 120;
const say = (line) => process.stderr.write(`${line}\n`);

const options = new Command("npm run bench:peers --")
  .description("Measures this library against the current PyTorch, NumPy and JAX on the CPU.")
  .option(
    "--python <file>",
    "an interpreter that has them (default: one of a virtual environment that is made in .scratch/peers)",
  )
  .option("--rounds <n>", "rounds, of half a minute each", Number, 5)
  .option("--seconds <n>", "seconds of measuring a case of a peer, each round", Number, 0.3)
  .option("--only <glob>", "only what matches THREADS/KIND/WHO: 1/normal/*, */moves/PyTorch*, */*/brownian*", "**")
  .option("--out <file>", "where the page is written, after every round")
  .allowExcessArguments(false)
  .parse()
  .opts();

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

function environment() {
  const folder = join(dirname(fileURLToPath(import.meta.url)), "..", ".scratch", "peers");
  const python = join(folder, "bin", "python");
  if (!existsSync(python)) {
    say(`making a virtual environment with ${PACKAGES.join(", ")}: some minutes, 6 GB`);
    run("python3", ["-m", "venv", folder]);
  }
  run(python, ["-m", "pip", "install", "--quiet", ...PACKAGES]);
  return python;
}

const python = options.python ?? environment();
const versions = JSON.parse(run(python, [SCRIPT, "versions"]));
const missing = ["numpy", "torch", "jax"]
  .filter((name) => !(name in versions))
  .map((name) => ({ label: name, why: "not installed" }));

const moduleOf = (library) => library.split(" ")[0].replace("PyTorch", "torch").toLowerCase();
const peer = (library, name, how, size) => ({ library, name, bytes: SIZES[size], label: `${library}, ${how}` });
const own = (group, name, how, size = "small") => ({ group, name, bytes: SIZES[size], label: `brownian, ${how}` });

/** By what is made or moved: what it is compared with is the fastest peer of the same table. */
const TABLES = [
  {
    title: "Normal float32, one thread",
    kind: "normal",
    threads: 1,
    rows: [
      peer("PyTorch", "normal", "eager", "small"),
      peer("NumPy SFC64", "normal", "Generator", "small"),
      peer("JAX", "normal", "jit, rbg", "large"),
      own("noise", "normal", "native"),
    ],
  },
  {
    title: "Noise of one step on int8, stochastic rounding, one thread",
    kind: "moves",
    threads: 1,
    rows: [
      peer("PyTorch", "stochastic", "eager, in tiles", "small"),
      peer("PyTorch", "compiledStochastic", "torch.compile", "large"),
      peer("PyTorch", "qes", "QES: floor and Bernoulli, in tiles", "small"),
      peer("PyTorch", "compiledQes", "QES, torch.compile", "large"),
      peer("NumPy SFC64", "stochastic", "in tiles", "small"),
      peer("JAX", "stochastic", "jit, rbg", "large"),
      own("dense", "int8 s=1", "int8"),
      own("dense", "Q8_0 s=1", "Q8_0"),
      own("dense", "Q4_0 s=0.3", "Q4_0, s = 0.3"),
      own("sparse", "Q8_0 s2=0.001", "Q8_0, one move in a thousand", "large"),
      own("sparse", "int8 s2=0.001", "int8, one move in a thousand", "large"),
    ],
  },
  {
    title: `Noise of one step on int8, stochastic rounding, ${ALL_THREADS} threads`,
    kind: "moves",
    threads: ALL_THREADS,
    rows: [
      peer("PyTorch", "stochastic", "eager, in tiles", "large"),
      peer("PyTorch", "wholeStochastic", "eager, whole", "large"),
      peer("PyTorch", "compiledStochastic", "torch.compile", "large"),
      peer("PyTorch", "compiledQes", "QES, torch.compile", "large"),
      peer("JAX", "stochastic", "jit, rbg", "large"),
      own("dense", "int8 s=1", "int8", "large"),
      own("dense", "Q4_0 s=0.3", "Q4_0, s = 0.3", "large"),
    ],
  },
];

const chosen = picomatch(options.only, { bash: true });
const tables = TABLES.map(({ rows, ...table }) => ({
  ...table,
  rows: rows
    .filter(({ label }) => chosen(`${table.threads}/${table.kind}/${label.replaceAll("/", " ")}`))
    .filter(({ library }) => library === undefined || moduleOf(library) in versions),
}));

const peers = new Peers(python);
const rates = new Map();
const failed = new Set();
const made = (done) =>
  page({
    tables,
    rates,
    missing,
    versions,
    rounds: { done, all: options.rounds },
    command: `npm run bench:peers -- --rounds ${options.rounds}${options.only === "**" ? "" : ` --only '${options.only}'`}`,
  });
for (let round = 1; round <= options.rounds; round++) {
  for (const { threads, rows } of tables) {
    for (const row of rows.filter((row) => !failed.has(row))) {
      const asked = { ...row, threads, budget: options.seconds, patience: PATIENCE };
      const begin = performance.now();
      try {
        const rate = await (row.library === undefined ? ownRate(asked) : peers.rate(asked));
        rates.set(row, [...(rates.get(row) ?? []), rate]);
        const seconds = ((performance.now() - begin) / 1000).toFixed(1);
        say(`${round}/${options.rounds} ${threads}: ${row.label}: ${rate.toFixed(0)} M/s (${seconds} s)`);
      } catch (error) {
        failed.add(row);
        missing.push({ label: `${row.label}, ${threads} threads`, why: error.message });
        say(`left out: ${row.label}: ${error.message}`);
      }
    }
  }
  if (options.out !== undefined) writeFileSync(options.out, made(round));
}
peers.close();
console.log(made(options.rounds));
