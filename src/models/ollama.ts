// ollama:name[:tag]: a model of Ollama's own store, read where it lies. Nothing is downloaded or written there.

import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import { checkParts } from "./path-parts.js";

const FORM = "ollama:name[:tag]";
const MODEL = "application/vnd.ollama.image.model";
const ADAPTER = "application/vnd.ollama.image.adapter";

interface Layer {
  readonly mediaType?: unknown;
  readonly digest?: unknown;
  readonly size?: unknown;
}

/** Where Ollama keeps models: as a user's program, and as a service on Linux. */
function folders(): string[] {
  if (environment.ollamaModels !== undefined) return [environment.ollamaModels];
  return [join(homedir(), ".ollama", "models"), "/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models"];
}

/** @throws BrownianError usage, file-not-found */
export async function fromOllama(name: string): Promise<{ path: string; name: string }> {
  const asked = name.replace(/^ollama:/i, "");
  const [, names, tag = "latest"] = /^(.+?)(?::([^:/]+))?$/.exec(asked) ?? [];
  if (names === undefined) throw new BrownianError("usage", `${name} names no model of Ollama: write ${FORM}.`);
  const given = names.split("/");
  const [model, namespace = "library", host = "registry.ollama.ai", ...more] = [...given].reverse();
  if (more.length > 0 || model === undefined)
    throw new BrownianError("usage", `${name} names no model of Ollama: write ${FORM}.`);
  const place = [host, namespace, model, tag];
  checkParts(name, place);
  for (const folder of folders()) {
    const manifest = await readFile(join(folder, "manifests", ...place), "utf8").catch(() => undefined);
    if (manifest !== undefined) return { path: await blobOf(name, folder, manifest), name: asked };
  }
  throw new BrownianError(
    "file-not-found",
    `Ollama has no ${asked} in ${folders().join(" or ")}: fetch it with ollama pull ${asked}, or set OLLAMA_MODELS to where it is.`,
  );
}

async function blobOf(name: string, folder: string, manifest: string): Promise<string> {
  const layers = layersOf(manifest);
  const models = layers.filter(({ mediaType }) => mediaType === MODEL);
  const [model] = models;
  const digest = typeof model?.digest === "string" ? /^sha256[:-]([0-9a-f]{64})$/.exec(model.digest)?.[1] : undefined;
  if (digest === undefined) throw new BrownianError("file-not-found", `${name} has no GGUF model: Ollama runs it elsewhere.`);
  if (models.length > 1 || layers.some(({ mediaType }) => mediaType === ADAPTER))
    throw new BrownianError("usage", `${name} is a model of several files, or with an adapter: merge them first.`);
  const path = join(folder, "blobs", `sha256-${digest}`);
  const there = await stat(path).catch(() => undefined);
  if (there === undefined || there.size !== model?.size)
    throw new BrownianError("file-not-found", `${name} is not whole (${path}): fetch it again with ollama pull.`);
  return path;
}

function layersOf(manifest: string): Layer[] {
  try {
    const { layers } = JSON.parse(manifest) as { layers?: unknown };
    return Array.isArray(layers) ? layers.filter((layer) => typeof layer === "object" && layer !== null) : [];
  } catch {
    return [];
  }
}
