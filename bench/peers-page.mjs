// The results of bench:peers as a page of Markdown.

import { cpus } from "node:os";

const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.round(q * (values.length - 1))];

/** One table: rows of millions a second, and their ratio to the fastest peer. */
function table({ title, rows }, rates) {
  const measured = rows.filter((row) => rates.has(row));
  if (measured.length === 0) return "";
  const median = (row) => quantile(rates.get(row), 0.5);
  const peers = measured.filter((row) => row.library !== undefined);
  const best = peers.length === 0 ? undefined : Math.max(...peers.map(median));
  const lines = measured.map((row) => {
    const [low, high] = [0, 1].map((q) => quantile(rates.get(row), q).toFixed(0));
    return `| ${row.label} | ${median(row).toFixed(0)} | ${low} to ${high} | ${best === undefined ? "" : (median(row) / best).toFixed(2)} |`;
  });
  return `\n## ${title}\n\n| | M/s, median | lowest to highest | of the fastest peer |\n| --- | ---: | ---: | ---: |\n${lines.join("\n")}\n`;
}

/** What was left out, with the first line of why. */
const leftOut = (missing) =>
  missing.length === 0
    ? ""
    : `\nLeft out:\n\n${missing.map(({ label, why }) => `- ${label}: ${why.split("\n")[0].slice(0, 70)}`).join("\n")}\n`;

/** The page. `rounds`: those that are through, of how many; `versions`: of the libraries. */
export function page({ tables, rates, missing, versions, rounds, command }) {
  const names = { torch: "PyTorch", numpy: "NumPy", jax: "JAX" };
  const libraries = Object.entries(versions).map(([name, version]) => `${names[name]} ${version}`);
  const said = `Made by \`${command}\`,
${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "an unknown processor"} (${cpus().length} threads), Node ${process.versions.node}:
${libraries.join(", ")}; ${rounds.done} of ${rounds.all} rounds.`;
  return `# Peers of today

${said}

In every round all are measured once, one after the other, so that a noisy minute falls on all alike. What is compared:
normal float32 numbers; Gaussian noise of one step added to int8 weights with stochastic rounding, in the fastest way
that each library offers, compiled too; and the published rule of QES (arXiv 2602.03120), floor and Bernoulli. "In
tiles": through scratch that fits the cache, which is the fastest way to write it by hand. One thread is pinned to a
core. Sizes: the numbers of a case lie in 2^18 bytes, or in 2^24 where a call costs too much beside its work (JAX,
compiled code, rare moves).

brownian's noise is a function of seed, name, tick and index, the same bits everywhere; the peers' is not, and nothing
of it can be made again without all before it. Rows of brownian move other formats than int8 too: those are what a
model's file has.
${tables.map((one) => table(one, rates)).join("")}${leftOut(missing)}`;
}
