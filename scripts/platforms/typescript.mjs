// TypeScript programs that use the package, under the two ways in which TypeScript finds packages. Declarations are checked too.
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bin, demand, folder, node, note } from "./trial.mjs";

const PROGRAM = `
  import { backend, type Moved, Noise, perturb, Thermostat, BrownianError } from "brownian";
  import { perturb as webPerturb, init } from "brownian/web";
  import { softmax } from "brownian/sampling";
  const moved: Moved = perturb(new Uint8Array(34), { type: "Q8_0", sigma: 1, seed: 1n });
  const isa: string = backend.isa;
  // @ts-expect-error a seed is needed
  perturb(new Uint8Array(34), { type: "Q8_0", sigma: 1 });
  export { isa, moved, Noise, Thermostat, BrownianError, webPerturb, init, softmax };\n`;

const CONSUMERS = [
  ["nodenext, module", { module: "NodeNext", moduleResolution: "NodeNext" }, "consumer.mts"],
  ["nodenext, CommonJS", { module: "NodeNext", moduleResolution: "NodeNext" }, "consumer.cts"],
  ["bundler", { module: "ESNext", moduleResolution: "Bundler" }, "consumer.ts"],
];

export async function tryTypeScript(plain) {
  for (const [resolution, settings, file] of CONSUMERS) {
    await note(`TypeScript, ${resolution}`, () => {
      const consumer = folder(`ts-${file}`, plain);
      for (const name of ["@types/node", "undici-types"])
        cpSync(bin(name), join(consumer, "node_modules", name), { recursive: true });
      writeFileSync(join(consumer, file), PROGRAM);
      const strict = {
        strict: true,
        noEmit: true,
        target: "ES2022",
        lib: ["ES2022", "ESNext.Disposable", "DOM"],
        types: ["node"],
      };
      writeFileSync(
        join(consumer, "tsconfig.json"),
        JSON.stringify({ compilerOptions: { ...settings, ...strict }, files: [file] }),
      );
      const { status, text } = node(consumer, bin("typescript/bin/tsc"), "-p", ".");
      demand(status === 0, text);
      return "compiles, declarations checked too";
    });
  }
}
