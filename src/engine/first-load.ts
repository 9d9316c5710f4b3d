// The fence around an engine that meets a file for the first time. llama.cpp ends its process (GGML_ASSERT) on files that it did not expect,
// which no catch sees: so a child process loads such a file first, with all that follows, and its death is an error message here. What went
// well is remembered (known-files.ts), and the model that ships is known to go well.

import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import type { ModelFile } from "../files/index.js";
import { packageRoot } from "../kernels/addon.js";
import { ENGINES, type EngineName } from "./engines.js";
import type { ChildAnswer, ChildTask } from "./first-load-child.js";
import { firstLook, knownToAbort } from "./first-look.js";
import type { EngineKind, EngineOptions } from "./interface.js";
import { isKnown, makeKnown } from "./known-files.js";

/** Of the headers of the models that ship with brownian: SHA-256. */
const SHIPPED: ReadonlySet<string> = new Set(["1e098ee48fa4da086b9cc93c6fe232e24b7b957737b3ad18ead78a1af260a073"]);

/** What is kept of a child's last words: an assertion and some of what came before. */
const LAST_WORDS = 8192;

/** Tokens of context that a child tries a model with, at most: graphs are those of a whole batch, and more costs memory and time alone. */
const MOST_CONTEXT = 512;

/** What a file is loaded with from now on. */
export interface FirstLoadOptions extends EngineOptions {
  /** Whether weights are rearranged, in every way that may follow. */
  readonly repacks: readonly boolean[];
}

/**
 * Resolves when there is no reason to fear that the engine ends the process over this file: its header says nothing against it, and it was
 * loaded well before, or now in a child process.
 *
 * Where child processes are not allowed (Node's permission model without --allow-child-process), or the child's script is not there (a bundle
 * without brownian's own files), a warning says once that the fence is missing, and the file is loaded without.
 *
 * @param name what the user calls the model
 * @throws BrownianError no-language-model; engine-failed with the engine's last words; engine-missing; the signal's reason when aborted
 */
export async function firstLoad(model: ModelFile, name: string, kind: EngineKind, options: FirstLoadOptions): Promise<void> {
  firstLook(model, name);
  options.signal?.throwIfAborted();
  const header = headerHash(model);
  if (SHIPPED.has(header) && !options.gpuLayers) return;
  const engine = Object.entries(ENGINES).find(([, each]) => each === kind)?.[0] as EngineName;
  const { llamaCpp } = await kind.describe();
  const key = await keyOf(model, header, [
    engine,
    llamaCpp,
    ...options.repacks,
    ...(options.gpuLayers ? [options.gpuLayers] : []),
  ]);
  if (await isKnown(key)) return;
  const { threads, repacks, gpuLayers, signal } = options;
  const contextSize = Math.min(options.contextSize ?? MOST_CONTEXT, trainedContext(model), MOST_CONTEXT);
  const answer = await inChild({ engine, path: model.path, name, threads, contextSize, repacks, gpuLayers }, model, signal);
  if (answer === undefined) return;
  if ("message" in answer) throw new BrownianError(answer.code, answer.message);
  await makeKnown(key);
}

/** Tokens that the model was trained on; Infinity where its header does not say. */
function trainedContext({ metadata, architecture }: ModelFile): number {
  const trained = Number(metadata[`${architecture}.context_length`]);
  return trained > 0 ? trained : Number.POSITIVE_INFINITY;
}

/** Of the headers of all its files. */
function headerHash({ parts }: ModelFile): string {
  const [first, ...others] = parts.map(({ header }) => header?.sha256 ?? "");
  return others.length === 0
    ? (first as string)
    : createHash("sha256")
        .update([first, ...others].join(" "))
        .digest("hex");
}

/** What has to be the same for a file to be known: the file, this program and the engine, and the machine. */
async function keyOf({ parts }: ModelFile, header: string, how: readonly unknown[]): Promise<string> {
  const { version } = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { version: string };
  const machine = [process.platform, process.arch, hostname()];
  const files: string[] = [];
  for (const { path } of parts) {
    const { size, mtimeNs } = await stat(path, { bigint: true }).catch((error) => {
      throw asFileError(error, path);
    });
    files.push(`${size} ${mtimeNs}`);
  }
  return createHash("sha256")
    .update(JSON.stringify([version, ...how, ...files, header, ...machine]))
    .digest("hex");
}

let warned = false;

function warnOnce(why: string): undefined {
  if (!warned)
    process.emitWarning(`${why}: a file that llama.cpp does not expect would end this process instead of being an error.`, {
      type: "BrownianWarning",
      code: "BROWNIAN_NO_FENCE",
    });
  warned = true;
}

/** Undefined where there can be no child. @throws BrownianError engine-failed where it died; the signal's reason when aborted */
async function inChild(task: ChildTask, model: ModelFile, signal?: AbortSignal): Promise<ChildAnswer | undefined> {
  const script = join(packageRoot(), "dist", "esm", "first-load-child.js");
  if (!existsSync(script)) return warnOnce("brownian's own files are not beside it, so no child process can load a model first");
  let child: ChildProcess;
  try {
    child = fork(script, [JSON.stringify(task)], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_ACCESS_DENIED") throw error;
    return warnOnce("child processes are not allowed here, so none can load a model first");
  }
  return await new Promise<ChildAnswer>((resolve, reject) => {
    let answer: ChildAnswer | undefined;
    let words = "";
    const end = () => {
      child.kill("SIGKILL");
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted) end(); // since it was asked last
    child.on("message", (message) => {
      answer = message as ChildAnswer;
    });
    child.stderr?.on("data", (data) => {
      words = `${words}${data}`.slice(-LAST_WORDS);
    });
    child.once("error", (cause) => {
      signal?.removeEventListener("abort", end);
      reject(new BrownianError("engine-failed", `No child process can load ${task.name} first: ${cause.message}`, { cause }));
    });
    child.once("close", (code, killedBy) => {
      signal?.removeEventListener("abort", end);
      if (answer !== undefined) resolve(answer);
      else reject(new BrownianError("engine-failed", epitaph(task.name, killedBy ?? `exit code ${code}`, words, model)));
    });
  });
}

/** What is said of a child that died over a file. */
function epitaph(name: string, how: string, words: string, model: ModelFile): string {
  const why = knownToAbort(model);
  const lines = words.split(/[\r\n]+/).filter((line) => line.trim() !== "");
  const last = lines.find((line) => /GGML_ASSERT|GGML_ABORT|what\(\):|ggml-?\w*\.c\w*:\d+:/.test(line)) ?? lines.at(-1);
  // The engine names its sources by where they lay when it was built.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a file says must not reach the terminal as it is
  const shown = last?.replace(/[\u0000-\u001f\u007f-\u009f]/g, "").replace(/^\S*[/\\](?=[^/\\\s]+:\d+:)/, "");
  const memory = how === "SIGKILL" ? " There may be too little memory." : "";
  const said = shown === undefined ? "" : ` It said: ${shown}`;
  return `The engine (llama.cpp) ends the process that loads ${name} (${how})${why === undefined ? "" : `: ${why}`}.${memory}${said}`;
}
