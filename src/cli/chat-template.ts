// --chat-template FILE, as several commands take it.

import { readFile } from "node:fs/promises";
import { asFileError } from "../files/file-errors.js";

/** The Jinja in a file. @throws BrownianError file-not-found, file-access */
export async function readTemplate(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error) => Promise.reject(asFileError(error, path)));
}
