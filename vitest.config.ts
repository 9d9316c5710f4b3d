// Tests run on the TypeScript sources; those that start processes use what `npm run setup` built in dist/.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/clean-environment.ts"],
    // Workers are processes: addons and engines are loaded for real. Two, since engine threads spin and must not outnumber cores.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    reporters: ["default", "json"],
    outputFile: { json: "build/test-results.json" },
  },
});
