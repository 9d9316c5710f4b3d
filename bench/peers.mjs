// What one would take without this library: plain Math.random, the generators of npm, NumPy and PyTorch (peers.py). Those that are not
// installed are named and left out. A peer's cases: uniform and normal float32, and stochastic rounding of Gaussian noise of one step on
// int8 weights, which all moves are compared with.

import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

export const PYTHON_SCRIPT = fileURLToPath(new URL("./peers.py", import.meta.url));

const gauss = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

const fill = (sample) => (bytes) => {
  const out = new Float32Array(bytes / 4);
  const call = () => {
    for (let i = 0; i < out.length; i++) out[i] = sample();
  };
  return { elements: out.length, bytes, call };
};

/** Stochastic rounding of Gaussian noise, a weight at a time. */
const stochastic = (normal) => (bytes) => {
  const weights = Int8Array.from({ length: bytes }, () => Math.max(-127, Math.min(127, 58 * gauss())));
  const call = () => {
    for (let i = 0; i < weights.length; i++) {
      weights[i] = Math.max(-127, Math.min(127, weights[i] + Math.floor(normal() + Math.random())));
    }
  };
  return { elements: bytes, bytes, call };
};

const load = async (name) => (await import(name)).default;

/** The peers that run in Node, and what makes each case's call. */
const JAVASCRIPT = {
  "Math.random": { uniform: () => fill(Math.random), normal: () => fill(gauss), stochastic: () => stochastic(gauss) },
  "d3-random": { package: "d3-random", normal: async () => fill((await import("d3-random")).randomNormal()) },
  "@stdlib/random-base-randn": {
    package: "@stdlib/random-base-randn",
    normal: async () => fill(await load("@stdlib/random-base-randn")),
  },
};
const PYTHON = {
  "NumPy SFC64": { module: "numpy", cases: ["uniform", "normal", "stochastic"] },
  "NumPy Philox": { module: "numpy", cases: ["normal"] },
  PyTorch: { module: "torch", cases: ["uniform", "normal", "stochastic", "wholeStochastic"] },
};

/** Makes the call of a JavaScript peer: { elements, bytes, call }. */
export async function makePeer(peer, name, bytes) {
  return (await JAVASCRIPT[peer][name]())(bytes);
}

/** The peers that are installed, as { peer, name, python } (python: the interpreter, or null), and a line for each that is left out. */
export function findPeers() {
  const peers = [];
  const missing = [];
  const { resolve } = createRequire(import.meta.url);
  for (const [peer, { package: needs, ...cases }] of Object.entries(JAVASCRIPT)) {
    try {
      if (needs) resolve(needs);
      for (const name of Object.keys(cases)) peers.push({ peer, name, python: null });
    } catch (error) {
      // d3-random has no entry for `require`; it is there all the same.
      if (error.code === "ERR_PACKAGE_PATH_NOT_EXPORTED")
        for (const name of Object.keys(cases)) peers.push({ peer, name, python: null });
      else missing.push(`${peer}: not installed (npm install --no-save ${needs})`);
    }
  }
  const pythons = findPythons();
  for (const [peer, { module, cases }] of Object.entries(PYTHON)) {
    const found = pythons.find((p) => p.versions[module]);
    if (found) for (const name of cases) peers.push({ peer, name, python: found.python, version: found.versions[module] });
    else missing.push(`${peer}: no Python here has it (Debian: apt-get install python3-${module})`);
  }
  return { peers, missing };
}

/** Interpreters that run, with the versions of what each has. */
function findPythons() {
  return ["python3", "/usr/bin/python3"].flatMap((python) => {
    const result = spawnSync(python, [PYTHON_SCRIPT, "versions"], { encoding: "utf8" });
    return result.status === 0 ? [{ python, versions: JSON.parse(result.stdout) }] : [];
  });
}
