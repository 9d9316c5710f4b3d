// npm run trial:randomness [-- --modes raw,tensors,ticks,seeds,purposes] [--gigabytes 4] [--tools practrand,dieharder] [--tests 0,1,...]: batteries of
// tests of randomness over the streams of stream.mjs. PractRand (RNG_test, on the path or in PRACTRAND) reads the first gigabytes of each;
// every test of dieharder (Debian: apt-get install dieharder) reads on from where the one before it may have ended. Minutes to hours.
// What is not installed is named and left out; results and what they mean: docs/theory/randomness.md.
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { practrand } from "../environment.mjs";

const STREAM = fileURLToPath(new URL("./stream.mjs", import.meta.url));

/**
 * Tests of dieharder with the gigabytes that each may read. Left out: those that its list calls suspect (5, 6, 7) or not to be used (14), 17 (it reads more),
 * 200 (its twelve bit widths take an hour), and of the 33 lags of 203 all but some: where streams are interleaved by 64, lag 63 pairs words
 * of one of them.
 */
const DIEHARDER = [
  ...[0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 15, 16, 100, 101, 102, 201, 202, 204, 205, 206, 207, 208, 209].map((test) => [test]),
  ...[0, 1, 2, 7].map((lag) => [203, lag]),
];
const MOST_GIGABYTES = 4;
const FIELDS = ["test_name", "ntuple", "tsamples", "psamples", "pvalues", "assessment"].flatMap((field) => ["-D", field]);

const { values } = parseArgs({
  options: {
    modes: { type: "string", default: "raw,tensors,ticks,seeds,purposes" },
    gigabytes: { type: "string", default: "4" },
    tools: { type: "string", default: "practrand,dieharder" },
    tests: { type: "string" },
  },
});

const TOOLS = {
  practrand: {
    wayOut: "build RNG_test of PractRand (pracrand.sourceforge.net) and put it on the path, or name it in PRACTRAND",
    there: () => spawnSync(practrand, ["-version"]).error === undefined,
    run: (mode) =>
      pipe(mode, 0, values.gigabytes, practrand, [
        "stdin32",
        "-tlmin",
        `${values.gigabytes}GB`,
        "-tlmax",
        `${values.gigabytes}GB`,
      ]),
  },
  dieharder: {
    wayOut: "Debian: apt-get install dieharder",
    there: () => spawnSync("dieharder", ["-h"]).error === undefined,
    run: async (mode) => {
      const wanted = values.tests?.split(",").map(Number);
      for (const [i, [test, lag]] of DIEHARDER.entries()) {
        if (wanted !== undefined && !wanted.includes(test)) continue;
        // -g 200: raw bits on stdin; -D: one line a result.
        const args = ["-g", "200", "-d", String(test), ...(lag === undefined ? [] : ["-n", String(lag)]), ...FIELDS];
        await pipe(mode, i * MOST_GIGABYTES, MOST_GIGABYTES, "dieharder", args);
      }
    },
  },
};

/** Runs a tool on a stream; what the tool prints is shown. */
function pipe(mode, skip, gigabytes, command, args) {
  return new Promise((resolve, reject) => {
    const source = spawn(process.execPath, [STREAM, mode, "--skip", String(skip), "--gigabytes", String(gigabytes)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const tool = spawn(command, args, { stdio: [source.stdout, "inherit", "inherit"] });
    // Only the tool reads: when it has had enough, the source's pipe must break.
    source.stdout.destroy();
    for (const child of [source, tool]) child.on("error", reject);
    tool.on("exit", resolve);
  });
}

let ran = false;
for (const name of values.tools.split(",")) {
  const tool = TOOLS[name];
  if (tool === undefined) throw new Error(`there is no ${name}, only ${Object.keys(TOOLS).join(", ")}`);
  if (!tool.there()) {
    console.error(`left out: ${name} is not installed (${tool.wayOut})`);
    continue;
  }
  for (const mode of values.modes.split(",")) {
    console.log(`== ${name}, ${mode}`);
    await tool.run(mode);
    ran = true;
  }
}
if (!ran) process.exitCode = 1;
