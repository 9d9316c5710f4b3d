// Names that become folders and files: nothing that leads out of a folder, and nothing that a file system somewhere takes for something else.

import { BrownianError } from "../errors.js";

/** @throws BrownianError usage for a part that is no plain name */
export function checkParts(name: string, parts: readonly string[]): void {
  const wrong = parts.find((part) => !/^[\w][\w.+@=, ()-]*$/.test(part) || /[. ]$/.test(part) || part.length > 200);
  if (wrong !== undefined)
    throw new BrownianError(
      "usage",
      `${name} names ${JSON.stringify(wrong)}, which cannot be the name of a file or folder here.`,
    );
}
