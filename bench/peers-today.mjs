// npm run bench:peers: the current PyTorch, NumPy and JAX against this library, in one run, on one thread and on all. Makes a virtual environment with
// them in build/peers (3 GB; --python names another interpreter that has them). What is compared: normal float32 numbers, Gaussian noise
// of one step added to int8 weights with stochastic rounding, in the fastest way that each offers, compiled too, and the published way of QES.
// Rounds go through all in turn, some minutes each; one thread is pinned to one core. Prints Markdown.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { withVariables } from "../scripts/environment.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = ["torch==2.15.0", "numpy==2.4.6", "jax==0.10.2"];
const SCRIPT = join(HERE, "peers.py");
const say = (line) => process.stderr.write(`${line}\n`);

const options = new Command("npm run bench:peers --")
  .description("Measures this library against the current PyTorch, NumPy and JAX on the CPU.")
  .option("--python <file>", "an interpreter that has them (default: one of a virtual environment that is made in build/peers)")
  .option("--rounds <n>", "rounds, of some minutes each", Number, 3)
  .allowExcessArguments(false)
  .parse()
  .opts();

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", ...options });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

function environment() {
  const folder = join(HERE, "..", "build", "peers");
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
for (const name of ["numpy", "torch", "jax"]) if (!(name in versions)) say(`left out: ${python} has no ${name}`);

const all = cpus().length;
const core = String(all - 1);
const pinned = process.platform === "linux" && spawnSync("taskset", ["-c", core, "true"]).status === 0;
const BYTES = { small: 2 ** 18, large: 2 ** 26 };

/** One measurement: a process, pinned where it has one thread. */
function measured(command, args, threads) {
  const one = threads === 1;
  const env = withVariables(one ? { OMP_NUM_THREADS: "1", XLA_FLAGS: "--xla_cpu_multi_thread_eigen=false" } : {});
  const [first, ...rest] = one && pinned ? ["taskset", "-c", core, command, ...args] : [command, ...args];
  const { seconds, elements } = JSON.parse(run(first, rest, { env }).trim().split("\n").at(-1));
  return elements / seconds / 1e6;
}

const peer = (library, name, kind, size) => ({
  label: `${library} ${versions[library.split(" ")[0].replace("PyTorch", "torch").toLowerCase()] ?? ""}, ${kind}`,
  missing: !(library.split(" ")[0].replace("PyTorch", "torch").toLowerCase() in versions),
  run: (threads) => measured(python, [SCRIPT, library, name, String(BYTES[size]), String(threads)], threads),
});
const own = (group, name, label, size = "small") => ({
  label: `brownian, ${label}`,
  missing: false,
  own: true,
  run: (threads) => {
    const item = { group: threads > 1 ? "threads" : group, name, backend: "native", bytes: BYTES[size], threads };
    return measured(process.execPath, [join(HERE, "measure.mjs"), JSON.stringify(item)], threads);
  },
});

/** By what is made or moved: what it is compared with is the fastest peer of the same table. */
const TABLES = {
  "normal float32, one thread": {
    threads: 1,
    rows: [
      peer("PyTorch", "normal", "eager", "small"),
      peer("NumPy SFC64", "normal", "SFC64", "small"),
      peer("JAX", "normal", "jit, rbg", "large"),
      own("noise", "normal", "native"),
    ],
  },
  "noise of one step on int8, stochastic rounding, one thread": {
    threads: 1,
    rows: [
      peer("PyTorch", "stochastic", "eager, in tiles", "small"),
      peer("PyTorch", "qes", "QES: floor and Bernoulli, in tiles", "small"),
      peer("PyTorch", "compiledStochastic", "torch.compile", "large"),
      peer("NumPy SFC64", "stochastic", "in tiles", "small"),
      peer("JAX", "stochastic", "jit, rbg", "large"),
      own("dense", "int8 s=1", "int8"),
      own("dense", "Q8_0 s=1", "Q8_0"),
      own("dense", "Q4_0 s=0.3", "Q4_0, s = 0.3"),
      own("sparse", "Q8_0 s2=0.001", "Q8_0, one move in a thousand", "large"),
      own("sparse", "int8 s2=0.001", "int8, one move in a thousand", "large"),
    ],
  },
  [`noise of one step on int8, stochastic rounding, ${all} threads`]: {
    threads: all,
    rows: [
      peer("PyTorch", "stochastic", "eager, in tiles", "large"),
      peer("PyTorch", "wholeStochastic", "eager, whole", "large"),
      peer("PyTorch", "compiledStochastic", "torch.compile", "large"),
      peer("JAX", "stochastic", "jit, rbg", "large"),
      own("dense", "int8 s=1", "int8", "large"),
      own("dense", "Q4_0 s=0.3", "Q4_0, s = 0.3", "large"),
    ],
  },
};

const chosen = Object.entries(TABLES).map(([title, table]) => ({
  title,
  ...table,
  rows: table.rows.filter(({ missing }) => !missing),
}));
const rates = new Map();
for (let round = 0; round < options.rounds; round++) {
  say(`round ${round + 1} of ${options.rounds}`);
  for (const { threads, rows } of chosen) {
    for (const row of rows) {
      try {
        rates.set(row, [...(rates.get(row) ?? []), row.run(threads)]);
      } catch (error) {
        if (round === 0) say(`left out: ${row.label}: ${error.message.slice(0, 500)}`);
      }
    }
  }
}

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.round(q * (values.length - 1))];
for (const { title, rows } of chosen) {
  const peers = rows.filter((row) => !row.own && rates.has(row));
  const best = Math.max(...peers.map((row) => quantile(rates.get(row), 0.5)));
  console.log(`\n**${title}**\n\n| | M/s, median | lowest to highest | of the fastest peer |\n| --- | ---: | ---: | ---: |`);
  for (const row of rows.filter((row) => rates.has(row))) {
    const [low, median, high] = [0, 0.5, 1].map((q) => quantile(rates.get(row), q));
    const cells = [median.toFixed(0), `${low.toFixed(0)} to ${high.toFixed(0)}`, (median / best).toFixed(2)];
    console.log(`| ${row.label} | ${cells.join(" | ")} |`);
  }
}
