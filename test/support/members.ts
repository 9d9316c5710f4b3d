// A folder of members as servers have it, without the members: its manifest alone, for fakes that load nothing.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Made {
  readonly members: number;
  readonly sigma: readonly number[];
  readonly format?: "gguf" | "peft";
}

/** GGUF: one file a member; PEFT: one for each sigma, m0-s0.1. */
export function folderOfMembers(adapters: string, { members: count, sigma, format = "gguf" }: Made) {
  const numbers = Array.from({ length: count }, (_, member) => member);
  const members =
    format === "gguf"
      ? numbers.map((member) => ({ path: `m${member}.gguf`, format, member, sigma: Math.max(...sigma) }))
      : numbers.flatMap((member) => sigma.map((one) => ({ path: `m${member}-s${one}`, format, member, sigma: one })));
  const manifest = {
    ...{ format: "brownian-adapters", version: 1, law: "", seed: "7", rank: 1, scale: "rms", antithetic: false },
    ...{ model: { file: "m.gguf", bytes: 1, sha256: "0", architecture: "llama" }, sigma, members, tensors: [], serve: {} },
  };
  mkdirSync(adapters, { recursive: true });
  writeFileSync(join(adapters, "manifest.json"), JSON.stringify(manifest));
  return { adapters, paths: members.map(({ path }) => join(adapters, path)) };
}
