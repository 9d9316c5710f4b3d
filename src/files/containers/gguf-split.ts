// GGUF models in several files, as llama-gguf-split and the converters of llama.cpp write them: NAME-00001-of-00003.gguf and so on, each with a
// header of its own; what concerns the whole model is in the first. Which parts those are follows from the name of the first (src/llama-model-loader.cpp
// of llama.cpp does the same, and is given these names).

import { basename, dirname, join } from "node:path";
import { BrownianError, shown } from "../../errors.js";
import { DOWNLOAD_AGAIN, type ReadFile } from "./container.js";

const COUNT = "split.count";
const NUMBER = "split.no";
const TENSORS = "split.tensors.count";
/** What parts of one model have in common, where more than one says it. */
const COMMON = ["general.architecture", "general.name", "general.uuid"];
/** As many as their 16 bits can say. */
const MOST = 2 ** 16 - 1;

const five = (n: number): string => String(n).padStart(5, "0");
/** How the name of part `i` (from 0) of `n` ends. */
const ending = (i: number, n: number): string => `-${five(i + 1)}-of-${five(n)}.gguf`;

/** How many files the model has that this one is of. @throws BrownianError corrupt-gguf */
function countOf({ file, contents }: ReadFile): number {
  const count = contents.metadata[COUNT] ?? 1;
  if (typeof count === "number" && Number.isInteger(count) && count >= 0 && count <= MOST) return Math.max(1, count);
  throw new BrownianError(
    "corrupt-gguf",
    `${file.path}: ${COUNT} is ${shown(count)}, which is no number of parts. ${DOWNLOAD_AGAIN}`,
  );
}

/** The parts after the first. @throws BrownianError usage, corrupt-gguf */
export function otherParts(first: ReadFile): readonly string[] {
  const { path, full } = first.file;
  const count = countOf(first);
  if (count === 1) return [];
  const number = Number(first.contents.metadata[NUMBER] ?? 0);
  const name = basename(full);
  const own = ending(0, count);
  if (number !== 0) {
    const stem = name.endsWith(ending(number, count)) ? name.slice(0, -own.length) : "NAME";
    throw new BrownianError("usage", `${path} is part ${number + 1} of ${count} of a model: give the first one, ${stem}${own}.`);
  }
  if (!name.endsWith(own))
    throw new BrownianError(
      "usage",
      `${path} is the first of ${count} parts of a model, and the others are found by its name, which must end in ${own}: give all parts the names that they had.`,
    );
  const stem = join(dirname(full), name.slice(0, -own.length));
  return Array.from({ length: count - 1 }, (_, i) => stem + ending(i + 1, count));
}

/** @throws BrownianError corrupt-gguf where these are not the parts of one model, each in its place */
export function checkSplit(parts: readonly ReadFile[]): void {
  const [first] = parts as readonly [ReadFile];
  if (parts.length === 1) return;
  const names = new Map<string, string>();
  for (const [i, part] of parts.entries()) {
    const { path } = part.file;
    const { metadata, tensors } = part.contents;
    const number = Number(metadata[NUMBER] ?? -1);
    if (countOf(part) !== parts.length || number !== i)
      throw new BrownianError(
        "corrupt-gguf",
        `${path} says that it is part ${number + 1} of ${countOf(part)}, but its name that it is part ${i + 1} of ${parts.length}: one of the parts was renamed, or is another model's.`,
      );
    for (const key of COMMON) {
      const [here, there] = [metadata[key], first.contents.metadata[key]];
      if (here !== undefined && there !== undefined && here !== there)
        throw anotherModel(path, first, `its ${key} is ${shown(here)}, not ${shown(there)}`);
    }
    for (const { name } of tensors) {
      const before = names.get(name);
      if (before !== undefined) throw anotherModel(path, first, `it has the tensor ${shown(name)}, which is also in ${before}`);
      names.set(name, path);
    }
  }
  const promised = Number(first.contents.metadata[TENSORS] ?? names.size);
  if (promised !== names.size)
    throw new BrownianError(
      "corrupt-gguf",
      `${first.file.path} and its other parts have ${names.size} tensors, but its header says ${promised}: a part is damaged, or another model's. Download all of them again.`,
    );
}

function anotherModel(path: string, { file }: ReadFile, why: string): BrownianError {
  return new BrownianError("corrupt-gguf", `${path} is part of another model than ${file.path}: ${why}.`);
}
