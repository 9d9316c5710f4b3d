// lmstudio:org/repo[/file.gguf]: a model of LM Studio's own store, read where it lies. Nothing is downloaded or written there.

import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { BrownianError } from "../errors.js";
import { chosen } from "./choose.js";
import { checkParts } from "./path-parts.js";

const FORM = "lmstudio:org/repo[:Q4_K_M] or lmstudio:org/repo/file.gguf";

/** Its home may have been moved, which a file of its says; older releases had another. */
async function folders(): Promise<string[]> {
  const home = homedir();
  const moved = await readFile(join(home, ".lmstudio-home-pointer"), "utf8").catch(() => undefined);
  const homes = [...(moved === undefined ? [] : [moved.trim()]), join(home, ".lmstudio"), join(home, ".cache", "lm-studio")];
  return homes.map((each) => join(each, "models"));
}

/** @throws BrownianError usage, file-not-found */
export async function fromLmStudio(name: string): Promise<{ path: string; name?: string }> {
  const [, org, repo, file, quantization] = /^lmstudio:([^/:]+)\/([^/:]+)(?:\/([^:]+)|:([\w.-]+))?$/i.exec(name) ?? [];
  if (org === undefined || repo === undefined)
    throw new BrownianError("usage", `${name} names no model of LM Studio: write ${FORM}.`);
  checkParts(name, [org, repo, ...(file?.split("/") ?? [])]);
  const all = await folders();
  for (const folder of all) {
    const files = await readdir(join(folder, org, repo), { recursive: true }).catch(() => undefined);
    if (files === undefined) continue;
    const names = files.map((each) => each.replaceAll("\\", "/"));
    const one =
      file === undefined ? chosen(names, quantization, name) : names.find((each) => [file, `${file}.gguf`].includes(each));
    if (one !== undefined) return { path: join(folder, org, repo, ...one.split("/")) };
    throw new BrownianError(
      "file-not-found",
      `LM Studio has no ${name}, but ${names.filter((n) => /\.gguf$/i.test(n)).join(", ")}.`,
    );
  }
  throw new BrownianError("file-not-found", `LM Studio has no ${org}/${repo} in ${all.join(" or ")}: fetch it with lms get.`);
}
