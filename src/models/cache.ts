// The models that were downloaded, below <cache>/models: hf/<org>/<repo>/<file> and url/<host>/<hash>/<file>, each beside <file>.origin.json, which says
// where it is from and what its hash is. Nothing is ever removed unless somebody says so.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { BrownianError } from "../errors.js";
import { cacheFolder } from "../files/cache-folder.js";
import { type DownloadOptions, download, PART, type Wanted } from "./download.js";

export const modelsFolder = (): string => join(cacheFolder(), "models");

const ORIGIN = ".origin.json";

/** A model, or what is there of it. */
export interface CachedModel {
  /** As -m takes it. */
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** A download that broke off, or is under way. */
  readonly partial: boolean;
  /** As it was when it came. */
  readonly sha256?: string | undefined;
}

interface Origin {
  readonly name: string;
  readonly sha256: string;
}

/** Where the file lies in the cache; brought there unless it is. `place` are folders and a file, which were checked. */
export async function cached(
  name: string,
  place: readonly string[],
  wanted: () => Wanted,
  options: DownloadOptions,
): Promise<string> {
  const path = join(modelsFolder(), ...place);
  if (await isFile(path)) return path;
  const keep = async (sha256: string) => {
    const origin: Origin = { name, sha256 };
    await writeFile(`${path}${ORIGIN}.new`, JSON.stringify(origin));
    await rename(`${path}${ORIGIN}.new`, path + ORIGIN);
  };
  await download(wanted(), path, { ...options, onWhole: keep });
  return path;
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

/** Files below a folder, with / between parts; none where there is no folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  return names.map((name) => name.split(sep).join("/"));
}

/** All that is there, by name. */
export async function cachedModels(): Promise<CachedModel[]> {
  const folder = modelsFolder();
  const names = await filesBelow(folder);
  const models = await Promise.all(names.filter((name) => /\.(gguf|part)$/i.test(name)).map((name) => described(folder, name)));
  return models.filter((model) => model !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function described(folder: string, name: string): Promise<CachedModel | undefined> {
  const path = join(folder, name);
  const there = await stat(path).catch(() => undefined);
  if (!there?.isFile()) return undefined;
  const origin = await readFile(path + ORIGIN, "utf8").then(
    (text) => JSON.parse(text) as Partial<Origin>,
    () => ({}) as Partial<Origin>,
  );
  const shown = relative(folder, path).split(sep).join("/").replace(PART, "");
  return {
    name: origin.name ?? shown.replace(/^hf\//, "hf:"),
    path,
    bytes: there.size,
    partial: PART.test(path),
    sha256: origin.sha256,
  };
}

/** Removes models by the names of {@link cachedModels}, with what is kept beside them. @throws BrownianError usage for one that is not there */
export async function removeCached(names: readonly string[]): Promise<CachedModel[]> {
  const all = await cachedModels();
  const unknown = names.find((name) => !all.some((model) => model.name === name));
  if (unknown !== undefined) {
    const known = all.length === 0 ? "there is none" : `but ${[...new Set(all.map(({ name }) => name))].join(", ")}`;
    throw new BrownianError("usage", `There is no downloaded model ${unknown}, ${known}.`);
  }
  return removed(all.filter(({ name }) => names.includes(name)));
}

/** Removes what is left of downloads that broke off. Who downloads meanwhile has its file open, and fails when it is to get its name. */
export async function removePartial(): Promise<CachedModel[]> {
  const all = (await cachedModels()).filter(({ partial }) => partial);
  const idle = await Promise.all(all.map(async ({ path }) => !(await isFile(`${path.replace(PART, "")}.lock`))));
  return removed(all.filter((_, i) => idle[i]));
}

async function removed(models: CachedModel[]): Promise<CachedModel[]> {
  for (const { path } of models) {
    const others = [ORIGIN, ".lock"].map((ending) => path + ending);
    for (const each of [path, ...others, path.replace(/\.gguf$/i, ".calibration.json")]) await rm(each, { force: true });
    // Folders that became empty, up to the cache's own.
    for (let folder = dirname(path); folder !== modelsFolder(); folder = dirname(folder)) {
      if (
        !(await rmdir(folder).then(
          () => true,
          () => false,
        ))
      )
        break;
    }
  }
  return models;
}

/** Those whose bytes are not what came. Those without a known hash are left out. */
export async function damaged(models: readonly CachedModel[]): Promise<CachedModel[]> {
  const wrong: CachedModel[] = [];
  for (const model of models) {
    if (model.partial || model.sha256 === undefined) continue;
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(model.path)) hash.update(chunk as Buffer);
    if (hash.digest("hex") !== model.sha256) wrong.push(model);
  }
  return wrong;
}
