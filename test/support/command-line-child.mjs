// The command line in a process that takes one command after another, and answers with what each said and its exit code. It starts, reads the
// program and loads the addon once for all; each command has a signal, variables, and a folder to stand in, of its own.
import { runCommandLine } from "../../dist/cli/program.js";

let said;
for (const name of ["stdout", "stderr"])
  process[name].write = (chunk, encoding, then) => {
    said[name] += chunk;
    (typeof encoding === "function" ? encoding : then)?.();
    return true;
  };

const home = process.cwd();
let last = Promise.resolve();
process.on("message", ({ id, args, cwd, env }) => {
  last = last.then(async () => {
    said = { stdout: "", stderr: "" };
    process.chdir(cwd);
    for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
    Object.assign(process.env, env);
    const code = await runCommandLine(args, new AbortController().signal);
    process.chdir(home); // no folder that a test removes
    process.send({ id, code, out: said.stdout, err: said.stderr });
  });
});
process.on("disconnect", () => process.exit());
