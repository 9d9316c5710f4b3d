// llama.cpp's own library, as the npm packages of node-llama-cpp bring it: found, and trusted only where its release is known. What it says of
// itself and the defaults that it returns must be those of the table (releases.ts): a library of another layout is never given a structure.

import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { installLine, PACKAGES } from "../install.js";
import { engineAddon, type LibraryPaths } from "./addon.js";
import { type Layout, RELEASES, type Release } from "./releases.js";

export interface Library {
  readonly paths: LibraryPaths;
  /** Such as "v0.5.0". */
  readonly name: string;
  readonly release: Release;
}

const NAMES: Readonly<Record<string, { readonly llama: RegExp; readonly ggml: RegExp; readonly base: RegExp }>> = {
  linux: { llama: /^libllama\.(?:\w+\.)?(v[\d.]+)\.so$/, ggml: /^libggml\.(?:\w+\.)?v[\d.]+\.so$/, base: /^libggml-base\.so$/ },
  darwin: {
    llama: /^libllama\.(?:\w+\.)?(v[\d.]+)\.dylib$/,
    ggml: /^libggml\.(?:\w+\.)?v[\d.]+\.dylib$/,
    base: /^libggml-base\.dylib$/,
  },
  win32: { llama: /^llama\.(?:\w+\.)?(v[\d.]+)\.dll$/, ggml: /^ggml\.(?:\w+\.)?v[\d.]+\.dll$/, base: /^ggml-base\.dll$/ },
};

/** The release that a file of this name is llama.cpp's library of, on this platform; undefined where it is none. */
export const releaseOf = (file: string, platform: string = process.platform): string | undefined =>
  NAMES[platform]?.llama.exec(file)?.[1];

/** The library of the installed node-llama-cpp. @throws Error with the reason why there is none that can be used */
export function installedLibrary(): Library {
  const folder = PACKAGES[`${process.platform}-${process.arch}`];
  const names = NAMES[process.platform];
  if (names === undefined || folder === undefined)
    throw new Error(`the engine has no libraries for ${process.platform}-${process.arch}`);
  for (const nodeModules of packageFolders()) {
    const bins = join(nodeModules, "@node-llama-cpp", folder, "bins", folder);
    const files = filesOf(bins);
    const file = (pattern: RegExp) => files.find((name) => pattern.test(name));
    const llama = files.find((name) => releaseOf(name) !== undefined);
    if (llama === undefined) continue;
    const path = (name: string | undefined) => (name === undefined ? "" : join(bins, name));
    const paths = { base: path(file(names.base)), ggml: path(file(names.ggml)), llama: join(bins, llama), backends: bins };
    return checkedLibrary(paths, releaseOf(llama) ?? "");
  }
  throw new Error(`the libraries of node-llama-cpp for this platform are not installed: ${installLine()}`);
}

/** Where npm packages that node-llama-cpp depends on may lie. */
export function packageFolders(): readonly string[] {
  const here = createRequire(import.meta.url);
  try {
    const package_ = createRequire(here.resolve("node-llama-cpp"));
    return package_.resolve.paths("@node-llama-cpp/x") ?? [];
  } catch (error) {
    throw new Error(`node-llama-cpp is not installed: ${installLine()} (${(error as Error).message.split("\n")[0]})`, {
      cause: error,
    });
  }
}

/** Packages of node-llama-cpp with libraries for GPUs that are installed here, by name: for gpuLayers alone. */
export function packagesForGpus(): readonly string[] {
  try {
    const all = packageFolders().flatMap((folder) => filesOf(join(folder, "@node-llama-cpp")).map((name) => ({ folder, name })));
    // Some put an empty package in the place of these (overrides).
    const full = all.filter(({ folder, name }) => filesOf(join(folder, "@node-llama-cpp", name, "bins")).length > 0);
    return [...new Set(full.map(({ name }) => name))].filter((name) => /cuda|vulkan/.test(name));
  } catch {
    return [];
  }
}

/** Names in a folder; none where there is no such folder. */
export function filesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/**
 * A library of the release `name`, after it was asked.
 * @param releases the known ones; tests give others
 * @throws Error where the release is not known, or the library is not what the table says
 */
export function checkedLibrary(
  paths: LibraryPaths,
  name: string,
  releases: Readonly<Record<string, Release>> = RELEASES,
): Library {
  const release = Object.hasOwn(releases, name) ? releases[name] : undefined;
  if (release === undefined)
    throw new Error(`release ${name} of llama.cpp is not known here (known: ${Object.keys(releases).join(", ")})`);
  const said = engineAddon().describe(paths);
  if (said.version !== release.version)
    throw new Error(`the library of release ${name} says that it is ${said.version}, not ${release.version}`);
  for (const struct of ["model", "context"] as const)
    checkDefaults(said[struct], release[struct], `${name}'s ${struct} parameters`);
  return { paths, name, release };
}

function checkDefaults(bytes: Uint8Array, layout: Layout, what: string): void {
  for (const [field, [offset, length, expected]] of Object.entries(layout.fields)) {
    const found = Buffer.from(bytes.subarray(offset, offset + length)).toString("hex");
    if (found !== expected)
      throw new Error(`${what} are laid out in another way than is known: ${field} is ${found}, not ${expected}`);
  }
}

/** The defaults with some fields set. Pointers are the addon's to put in. */
export function parameters(layout: Layout, values: Readonly<Record<string, number | boolean>>): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  for (const [offset, length, value] of Object.values(layout.fields))
    bytes.set(Buffer.from(value, "hex").subarray(0, length), offset);
  for (const [name, value] of Object.entries(values)) {
    const field = layout.fields[name];
    if (field === undefined) throw new Error(`there is no field ${name}`);
    const [offset, length] = field;
    if (length === 1) view.setUint8(offset, Number(value));
    else if (length === 4) view.setInt32(offset, Number(value), true);
    else throw new Error(`the field ${name} is no number`);
  }
  return bytes;
}

/** Where a field lies. */
export function placeOf(layout: Layout, name: string): number {
  const field = layout.fields[name];
  if (field === undefined) throw new Error(`there is no field ${name}`);
  return field[0];
}
