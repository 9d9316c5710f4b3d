// Tests choose backends by argument: what the shell forces must not leak into them. BROWNIAN_LLAMA_SERVER and
// BROWNIAN_REDIS_SERVER are for tests alone: they name programs.
import { fileURLToPath } from "node:url";

for (const name of Object.keys(process.env))
  if (name.startsWith("BROWNIAN_") && !/^BROWNIAN_(LLAMA|REDIS)_SERVER/.test(name)) delete process.env[name];
// Nor do tests write to the user's own folders.
process.env.BROWNIAN_CACHE = fileURLToPath(new URL("../../build/test-cache", import.meta.url));
