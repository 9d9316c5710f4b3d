// A model by its address. Of one address there is one file; what the server says it is, is kept to while it comes.

import { createHash } from "node:crypto";
import { BrownianError } from "../errors.js";
import { cached } from "./cache.js";
import type { DownloadOptions } from "./download.js";

const DIGITS = 16;

/** @throws BrownianError usage, download-failed, no-space, file-access, aborted */
export async function fromUrl(name: string, options: DownloadOptions): Promise<{ path: string }> {
  if (!URL.canParse(name)) throw new BrownianError("usage", `${name} is no address.`);
  const url = new URL(name);
  if (url.username !== "" || url.password !== "")
    throw new BrownianError("usage", "A password in an address would be kept with the model: leave it out.");
  url.hash = "";
  const last = url.pathname.split("/").at(-1) ?? "";
  const file = `${
    last
      .replace(/\.gguf$/i, "")
      .replace(/[^\w.-]/g, "-")
      .slice(0, 100) || "model"
  }.gguf`.replace(/^[.-]/, "_");
  const digits = createHash("sha256").update(url.href).digest("hex").slice(0, DIGITS);
  const host = url.hostname.replace(/[^\w.-]/g, "-");
  return { path: await cached(url.href, ["url", host, digits, file], () => ({ url: url.href }), options) };
}
