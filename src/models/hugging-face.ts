// hf:org/repo:QUANTIZATION and hf:org/repo/file.gguf, from huggingface.co or HF_ENDPOINT. What was downloaded is used without asking: models do not
// change while they are worked with. Names from the server become paths, and are checked as such.

import { join } from "node:path";
import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import { asked } from "./ask.js";
import { cached, filesBelow, modelsFolder } from "./cache.js";
import { chosen, isModel, partsOf } from "./choose.js";
import type { DownloadOptions } from "./download.js";
import { checkParts } from "./path-parts.js";

const FORM = "hf:org/repo:Q4_K_M or hf:org/repo/file.gguf";
const ENDPOINT = "https://huggingface.co";
const WAY_IN = "accept its terms on its page, and set HF_TOKEN to a token of yours that may read it";

/** @throws BrownianError usage, download-failed, no-space, file-access, aborted */
export async function fromHuggingFace(name: string, options: DownloadOptions): Promise<{ path: string }> {
  const { repo, file, quantization } = parsed(name);
  const here = join(modelsFolder(), "hf", ...repo.split("/"));
  const where = `hf:${repo}`;
  const one = file ?? chosen(await filesBelow(here), quantization, where) ?? (await remoteChoice(repo, quantization, options));
  const bring = (each: string) =>
    cached(`${where}/${each}`, ["hf", ...repo.split("/"), ...each.split("/")], () => wanted(repo, each), options);
  // Of a split model the first part stands for all.
  const paths: string[] = [];
  for (const part of partsOf(one)) paths.push(await bring(part));
  return { path: paths[0] as string };
}

function parsed(name: string) {
  const [, org, short, file, quantization] = /^hf:([^/:]+)\/([^/:]+)(?:\/([^:]+)|:([\w.-]+))?$/i.exec(name) ?? [];
  if (org === undefined || short === undefined)
    throw new BrownianError("usage", `${name} names no model of Hugging Face: write ${FORM}.`);
  checkParts(name, [org, short, ...(file?.split("/") ?? [])]);
  if (file !== undefined && !/\.gguf$/i.test(file))
    throw new BrownianError("usage", `${name} names no GGUF file: write ${FORM}.`);
  return { repo: `${org}/${short}`, file, quantization };
}

const endpoint = (): string => (environment.huggingFace ?? ENDPOINT).replace(/\/+$/, "");

function headers(): Record<string, string> {
  const token = environment.huggingFaceToken;
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function wanted(repo: string, file: string) {
  const url = `${endpoint()}/${repo}/resolve/main/${file.split("/").map(encodeURIComponent).join("/")}`;
  return { url, headers: headers(), wayIn: WAY_IN };
}

async function remoteChoice(repo: string, quantization: string | undefined, options: DownloadOptions): Promise<string> {
  const files = (await listed(repo, options)).filter(isModel);
  const file = chosen(files, quantization, `hf:${repo}`);
  if (file !== undefined) {
    checkParts(`hf:${repo}`, file.split("/"));
    return file;
  }
  const there = files.length === 0 ? "no GGUF files: look for a repository whose name ends in GGUF" : files.join(", ");
  throw new BrownianError("download-failed", `hf:${repo} has no file for ${quantization ?? "Q4_K_M"}, but ${there}.`);
}

/** Pages of a list that are read, at most: a repository has no millions of files. */
const PAGES = 20;

async function listed(repo: string, { signal }: DownloadOptions): Promise<string[]> {
  const files: string[] = [];
  let url: string | undefined = `${endpoint()}/api/models/${repo}/tree/main?recursive=true`;
  for (let page = 0; page < PAGES && url !== undefined; page++) {
    const response: Response = await asked({ url, headers: headers(), wayIn: WAY_IN }, { signal });
    const list = (await response.json().catch(() => undefined)) as { type?: unknown; path?: unknown }[] | undefined;
    if (!Array.isArray(list)) throw new BrownianError("download-failed", `${url} sends no list of files.`);
    files.push(...list.flatMap(({ type, path }) => (type === "file" && typeof path === "string" ? [path] : [])));
    const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
    // A key goes to no other server.
    url = next?.startsWith(`${endpoint()}/`) ? next : undefined;
  }
  return files;
}
