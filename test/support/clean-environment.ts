// Tests choose backends by argument: what the shell forces must not leak into them. BROWNIAN_LLAMA_SERVER is for tests alone: it names a program.
for (const name of Object.keys(process.env))
  if (name.startsWith("BROWNIAN_") && !name.startsWith("BROWNIAN_LLAMA_SERVER")) delete process.env[name];
