// Tests run on the TypeScript sources; those that start processes use what `npm run setup` built in dist/. In `npm test`, which has just built
// dist/ of these sources, all do (--mode built): nothing is compiled a second time.
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const root = fileURLToPath(new URL(".", import.meta.url));
const own = (mode: string, module: string) =>
  mode === "built" ? resolve(root, "dist", `${module}.js`) : resolve(root, "src", `${module}.ts`);

/** Puts something else in the place of a package, which only what comes through Vitest gets. */
const MOCKING = /[\\/]text-stream\.test\.ts$/;

/** Takes dist/laws/philox.js where src/laws/philox.js is asked for; Node imports it as it is. */
const built: Plugin = {
  name: "what is built instead of its source",
  enforce: "pre",
  resolveId(name, importer) {
    if (importer === undefined || MOCKING.test(importer) || !/^([./]|[A-Z]:).*\.[jt]s$/.test(name)) return null;
    const within = (path: string) => relative(root, path).split(sep);
    if (within(importer)[0] === "src") return null; // a source that is taken takes sources
    const [room, ...path] = within(resolve(dirname(importer), name));
    return room === "src" ? resolve(root, "dist", ...path).replace(/\.ts$/, ".js") : null;
  },
};

/** Rooms whose tests load no engine in their own process. Those of all others may, which takes a second or more, and leave nothing of it behind. */
const SHARED = "cli kernels lattice laws learn noise report sampling statistics thermostat".split(" ");
/** Tests that look at the memory, or at the modules, of the process in which they are, or put others in their place. */
const APART = ["llama/text-stream", "files/live/memory", "house/garbage", "house/imports", "house/leaks", "house/memory"].map(
  (name) => `test/${name}.test.ts`,
);
/** Those that take long of the rooms that come last: at the end they would keep one worker, and leave the others nothing. */
const LONG =
  /\/(learn\/(docs|examples-b)|laws\/langevin|thermostat\/dynamics\/dynamics|cli\/(compare|evaluate|evolve)|kernels\/equality)\.test\.ts$/;

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const rank = ({ moduleId, project }: TestSpecification) =>
      2 * sorted.findIndex((one) => one.project === project) + (LONG.test(moduleId) ? 0 : 1);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

const ofRooms = (rooms: readonly string[]) => rooms.map((room) => `test/${room}/**/*.test.ts`);

export default defineConfig(({ mode }) => ({
  plugins: mode === "built" ? [built] : [],
  // Examples import the package by its name, as its users do; in tests they get what those have.
  resolve: {
    alias: [
      { find: /^brownian\/(learn|sampling)$/, replacement: own(mode, "$1/index") },
      { find: /^brownian$/, replacement: own(mode, "index") },
    ],
  },
  test: {
    // Tests of a shared process need not import the library, or start an engine, again for every file: a fifth of the time of all. What looks at its
    // own process has one to itself.
    projects: [
      {
        extends: true,
        mode,
        test: { name: "shared", include: ofRooms(SHARED), isolate: false },
      },
      {
        extends: true,
        mode,
        test: { name: "engines", include: ["test/**/*.test.ts"], exclude: [...ofRooms(SHARED), ...APART], isolate: false },
      },
      {
        extends: true,
        mode,
        test: { name: "apart", include: APART },
      },
    ],
    server: { deps: { external: [/^(?!.*node_modules).*\/dist\/.*\.js$/] } },
    setupFiles: ["test/support/clean-environment.ts"],
    globalSetup: ["test/support/temporary-folder.ts"],
    // Workers are processes: addons and engines are loaded for real. More than the two cores that are promised, since many tests wait for processes of
    // their own, or for time; few engines have more than one thread, which would spin.
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongFirst },
    // No time limit decides a result: on a loaded machine everything takes longer. What hangs, the job ends.
    testTimeout: 0,
    hookTimeout: 0,
    teardownTimeout: 60_000, // a worker that has had engines ends slowly on a full machine
    reporters: ["default", "json"],
    outputFile: { json: "build/test-results.json" },
  },
}));
