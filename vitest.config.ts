// Tests run on the TypeScript sources; those that start processes use what `npm run setup` built in dist/.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (file: string) => fileURLToPath(new URL(`src/${file}`, import.meta.url));

/** Rooms whose tests neither load an engine in their own process nor measure it. */
const SHARED = "cli kernels lattice laws learn noise report sampling statistics thermostat".split(" ");
/** Rooms whose tests load engines, which take a second or more to start, and leave nothing of them behind. */
const ENGINES = "adapters compare engine evaluate evolve llama serve tasks".split(" ");
const within = (rooms: readonly string[]) => rooms.map((room) => `test/${room}/**/*.test.ts`);

export default defineConfig(({ mode }) => ({
  // Examples import the package by its name, as its users do; in tests they get the sources.
  resolve: {
    alias: [
      { find: /^brownian\/(learn|sampling)$/, replacement: source("$1/index.ts") },
      { find: /^brownian$/, replacement: source("index.ts") },
    ],
  },
  test: {
    // Tests of a shared process need not import the library, or start an engine, again for every file: a fifth of the time of all. What looks at its
    // own process has one to itself.
    projects: [
      {
        extends: true,
        mode,
        test: { name: "shared", include: within(SHARED), isolate: false },
      },
      {
        extends: true,
        mode,
        test: { name: "engines", include: within(ENGINES), isolate: false },
      },
      {
        extends: true,
        mode,
        test: { name: "apart", include: ["test/**/*.test.ts"], exclude: within([...SHARED, ...ENGINES]) },
      },
    ],
    setupFiles: ["test/support/clean-environment.ts"],
    globalSetup: ["test/support/temporary-folder.ts"],
    // Workers are processes: addons and engines are loaded for real. Two, since engine threads spin and must not outnumber cores.
    pool: "forks",
    maxWorkers: 2,
    // No time limit decides a result: on a loaded machine everything takes longer. What hangs, the job ends.
    testTimeout: 0,
    hookTimeout: 0,
    reporters: ["default", "json"],
    outputFile: { json: "build/test-results.json" },
  },
}));
