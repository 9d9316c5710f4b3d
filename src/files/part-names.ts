// How the files of a model in several are called when it is written: as they were, after another name. GGUF and safetensors number them alike.

import { basename } from "node:path";
import { BrownianError } from "../errors.js";
import type { ModelFile } from "./tensor.js";

/** Such as "-00001-of-00003.gguf". */
const NUMBERED = /-\d{5}-of-\d{5}(\.[a-z]+)$/i;

/**
 * The files of an output that is called `output`: that one, or for a model in several files as many. "moved.gguf" and "moved-00001-of-00003.gguf" are
 * the same.
 * @throws BrownianError usage for the name of another part, or of another number of parts, and where parts have no numbers
 */
export function outputParts(output: string, { parts }: Pick<ModelFile, "parts">): readonly string[] {
  if (parts.length === 1) return [output];
  const found = parts.map(({ path }) => NUMBERED.exec(basename(path)));
  const endings = found.filter((ending) => ending !== null);
  if (endings.length < parts.length)
    throw new BrownianError(
      "usage",
      `The model's ${parts.length} files are not numbered, so that no name stands for all of them: give the folder that they are in, and a folder for the output.`,
    );
  const [own, type] = endings[0] as RegExpExecArray;
  const numbered = NUMBERED.exec(output)?.[0];
  if (numbered !== undefined && numbered !== own)
    throw new BrownianError(
      "usage",
      `The model has ${parts.length} files, and so has its moved copy: --output must end in ${own}, or have a name without numbers.`,
    );
  const ending = numbered ?? (output.toLowerCase().endsWith(type as string) ? type : "");
  const stem = output.slice(0, output.length - (ending as string).length);
  return endings.map(([each]) => stem + each);
}
