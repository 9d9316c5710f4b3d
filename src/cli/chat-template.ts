// --chat-template FILE, as several commands take it.

import { readTextFile, withPlainLines } from "../files/text.js";

/** The Jinja in a file. @throws BrownianError file-not-found, file-access, usage */
export async function readTemplate(path: string, signal?: AbortSignal): Promise<string> {
  return withPlainLines(await readTextFile(path, signal));
}
