// The worker of one column: fetches the model, moves its bytes, and has its engine draw next tokens and write the text. One run at a time; a new
// one ends the one before at its next token.

import { BrownianError, init, Noise } from "../src/index.web.js";
import { Engine, refuseOldHost, type Writing } from "./engine.js";
import { ModelBytes } from "./model-bytes.js";
import type { ColumnName, FromColumn, Sample, ToColumn, Visit } from "./protocol.js";
import type { Settings } from "./settings.js";

/** The tensor whose weights are shown, and how many of them. */
const SAMPLE = { tensor: "blk.1.attn_output.weight", weights: 1024 };

interface Column {
  readonly model: ModelBytes;
  readonly engine: Engine;
  readonly visit: Visit;
}

/** One run of a column: draws and the text. Says what happens as it happens. */
type Run = (column: Column, settings: Settings, say: Say, signal: AbortSignal) => Promise<void>;
type Say = (message: WithoutRun<FromColumn>) => void;
type WithoutRun<M> = M extends { run: number } ? Omit<M, "run"> : never;

const RUNS: Record<ColumnName, Run> = { softmax: throwDice, weights: moveWeights };

/** The model stands still; dice at the output. */
async function throwDice({ engine, visit }: Column, { temperature, seed, prompt }: Settings, say: Say, signal: AbortSignal) {
  say({ kind: "law", law: await engine.law(prompt, temperature, signal) });
  const seeds = diceSeeds(seed, visit.draws);
  await drawAndWrite(
    engine,
    visit,
    prompt,
    (draw) => ({ temperature, seed: seeds[draw] as number }),
    async () => {},
    say,
    signal,
  );
}

/** The weights move, anew for every draw and once for the text (quenched); the likeliest token is taken. */
async function moveWeights({ model, engine, visit }: Column, { sigma, seed, prompt }: Settings, say: Say, signal: AbortSignal) {
  const move = async (draw: number) => {
    const { bytes, changed } = model.moved(sigma, seed, draw);
    if (draw === 0) say({ kind: "moved", changed, sha256: await sha256(bytes) });
    await engine.replace(bytes);
  };
  await drawAndWrite(engine, visit, prompt, () => ({ temperature: 0, seed: 0 }), move, say, signal);
}

/** Draw 0, the text that begins with it, then the other draws. */
async function drawAndWrite(
  engine: Engine,
  { draws, tokens }: Visit,
  prompt: string,
  samplingOf: (draw: number) => { temperature: number; seed: number },
  prepare: (draw: number) => Promise<void>,
  say: Say,
  signal: AbortSignal,
) {
  for (let draw = 0; draw < draws; draw++) {
    signal.throwIfAborted();
    const began = performance.now();
    await prepare(draw);
    const token = await engine.next(prompt, samplingOf(draw), signal);
    say({ kind: "draw", token, seconds: since(began) });
    if (draw === 0) await writeText(engine, prompt, { ...samplingOf(0), maxTokens: tokens }, say, signal);
  }
  say({ kind: "drawn" });
}

async function writeText(engine: Engine, prompt: string, writing: Omit<Writing, "signal">, say: Say, signal: AbortSignal) {
  const began = performance.now();
  let tokens = 0;
  const pieces = engine.continue(prompt, { ...writing, signal });
  let next = await pieces.next();
  for (; !next.done; next = await pieces.next()) {
    tokens++;
    say({ kind: "text", piece: next.value });
  }
  say({ kind: "written", tokens, seconds: since(began), ended: next.value });
}

/** Seeds of the engine's own dice, from our noise: 31 bits, since all ones mean "any" to it. */
function diceSeeds(seed: number, draws: number): number[] {
  return Array.from(new Noise(seed).stream("dice").bits(new Uint32Array(draws)), (word) => word >>> 1);
}

const since = (began: number) => (performance.now() - began) / 1000;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (globalThis.crypto?.subtle === undefined) return ""; // pages that came over plain http from another machine
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A file of the page, while it comes. */
interface Coming {
  readonly response: Response;
  /** 0 where the server does not say. */
  readonly length: number;
}

async function request(address: string): Promise<Coming> {
  const name = address.split("/").pop();
  const response = await fetch(address).catch((cause) => {
    throw new BrownianError("file-access", `${name} could not be fetched: is the server still there?`, { cause });
  });
  if (!response.ok)
    throw new BrownianError("file-not-found", `${name} is missing here (HTTP status ${response.status}): build the page again.`);
  // A compressed answer's length is not that of what comes out of it.
  const said = response.headers.get("content-encoding") === null ? Number(response.headers.get("content-length")) : 0;
  return { response, length: Number.isNaN(said) ? 0 : said };
}

/** The bytes of the files, which say how far they are as they come. */
async function fetched(...addresses: readonly string[]): Promise<Uint8Array<ArrayBuffer>[]> {
  const coming = await Promise.all(addresses.map(request));
  const known = coming.every(({ length }) => length > 0);
  const total = known ? coming.reduce((sum, { length }) => sum + length, 0) : 0;
  let bytes = 0;
  const read = async ({ response }: Coming): Promise<Uint8Array<ArrayBuffer>> => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (const reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      bytes += value.length;
      post({ kind: "fetching", bytes, total });
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };
  return Promise.all(coming.map(read));
}

/**
 * Byte tokens that are no ASCII: the engine cannot send half a character on its own, and dies of it. The texts that the embedded model
 * learned from were ASCII.
 */
function barredTokens(vocabulary: readonly string[]): number[] {
  return vocabulary.flatMap((text, token) => (/^<0x[89A-F][0-9A-F]>$/.test(text) ? [token] : []));
}

function sampleOf(model: ModelBytes): Sample {
  const { name, type, offset, bytes, weights, rms } = model.tensor(SAMPLE.tensor);
  const length = (bytes / weights) * SAMPLE.weights;
  return { tensor: name, type, rms, bytes: model.pristine.slice(offset, offset + length) };
}

const post = (message: FromColumn) => self.postMessage(message);

let opened: Promise<{ column: Column; start: Run }> | undefined;
let underWay: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

async function open(message: ToColumn & { kind: "open" }): Promise<{ column: Column; start: Run }> {
  refuseOldHost();
  await init();
  const [file, program] = (await fetched(message.model, message.engine)) as [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
  const model = await ModelBytes.read(file, message.model);
  // The engine fetches its program by address: it is to have the one that is here already.
  const wasm = URL.createObjectURL(new Blob([program], { type: "application/wasm" }));
  const options = { wasm, reload: message.visit.reload, barred: barredTokens(model.vocabulary) };
  const engine = await Engine.load(model.pristine, options);
  post({ kind: "opened", weights: model.weights, sample: sampleOf(model), live: engine.live });
  return { column: { model, engine, visit: message.visit }, start: RUNS[message.column] };
}

async function run(run: number, settings: Settings, before: Promise<void> | undefined, signal: AbortSignal): Promise<void> {
  try {
    await before;
    const { column, start } = await (opened as NonNullable<typeof opened>);
    if (signal.aborted) return;
    await start(column, settings, (message) => signal.aborted || post({ ...message, run } as FromColumn), signal);
  } catch (error) {
    if (!signal.aborted) post({ kind: "failed", message: inWords(error) });
  }
}

function inWords(error: unknown): string {
  if (error instanceof BrownianError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  if (/exceeds the available context/.test(message))
    return "The beginning is too long for this model's context: give a shorter one.";
  return `The engine failed: ${message}. Load the page again.`;
}

self.onmessage = ({ data }: MessageEvent<ToColumn>) => {
  if (data.kind === "open") {
    opened = open(data);
    opened.catch((error) => post({ kind: "failed", message: inWords(error) }));
    return;
  }
  underWay?.abort.abort();
  const abort = new AbortController();
  underWay = { abort, ended: run(data.run, data.settings, underWay?.ended, abort.signal) };
};
