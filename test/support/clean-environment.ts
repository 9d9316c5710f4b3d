// Tests choose backends by argument: what the shell forces must not leak into them.
for (const name of Object.keys(process.env)) if (name.startsWith("BROWNIAN_")) delete process.env[name];
