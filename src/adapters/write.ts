// A folder of members, for engines in other processes: files of each, and a manifest that says what they are and how to serve them. It appears
// whole or not at all.

import { type FileHandle, mkdir, open, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { BrownianError, checkChoice, checkFunction, checkInteger, checkNumber, checkText } from "../errors.js";
import { identity } from "../files/identity.js";
import { checkOutputFolder, readModel, type Skipped, WATCH, type Watch, watchOver, writeFolderWhole } from "../files/index.js";
import { checkRoom } from "../files/room.js";
import { writeFully } from "../files/transfer.js";
import { checkOptions, type Names } from "../options.js";
import { NOISE, type NoiseSettings, noiseOf } from "../thermostat/noise.js";
import { ADAPTER_FORMATS, type AdapterFile, type AdapterFormat, type AdapterFormatName } from "./formats/index.js";
import { type AdapterManifest, MANIFEST, type ManifestMember, MEMBERS_CALIBRATION } from "./manifest.js";
import { type Drawing, Members } from "./members.js";
import { architectureOf } from "./names.js";

/** Which members are written, and for which engines. */
export interface WriteAdaptersOptions extends Omit<NoiseSettings, "sigma" | "rounding">, Watch {
  /** How many; default 16: numbers 0 to 15 of the seed. */
  readonly members?: number | undefined;
  /**
   * Standard deviation of the noise on a weight, in units of `scale`; above 0. It is baked in: scale 1 of a request gives it. Where scales are fixed
   * (PEFT), several give a file each; where they are not (GGUF), the largest is written.
   */
  readonly sigma: number | readonly number[];
  /** Of the noise on each matrix; default 1. */
  readonly rank?: number | undefined;
  /** Default "gguf"; "both" writes each member in all formats. */
  readonly format?: AdapterFormatName | "both" | undefined;
  /** Mirror images too: scale -1 of the same file, or a file of its own where scales are fixed. */
  readonly antithetic?: boolean | undefined;
  /** Told before anything is written: how many files, and bytes in all. */
  readonly onPlan?: ((plan: AdapterPlan) => void) | undefined;
}

const { rounding: _, ...NAMED } = NOISE;
const NAMES: Names<WriteAdaptersOptions> = {
  ...NAMED,
  ...WATCH,
  members: true,
  rank: true,
  format: true,
  antithetic: true,
  onPlan: true,
};

/** What is going to be written. */
export interface AdapterPlan {
  /** Members, in all formats, sigmas and signs. */
  readonly files: number;
  /** Of all files, without the manifest. */
  readonly bytes: number;
  /** Of one member in one format, the largest. */
  readonly bytesEach: number;
  /** Matrices that move. */
  readonly matrices: number;
  /** Of these. */
  readonly weights: number;
  /** Tensors that are left alone, with the reason. */
  readonly skipped: readonly Skipped[];
}

const LAW =
  "E = sigma unit / sqrt(rank) B A; A, B: normals of streams NAME.lora_a, NAME.lora_b at tick = member (brownian, adapters)";
/** Parts that are written at once: many are a few hundred bytes. */
const AT_ONCE = 1 << 20;

/** One file or folder: of which member, at which sigma. */
interface Planned extends ManifestMember {
  readonly files: readonly AdapterFile[];
}

/**
 * Writes members of a model into the folder `output`, whole or not at all; resolves to the manifest that lies beside them.
 *
 * Member m of seed s adds sigma · RMS / sqrt(r) · B·A to every matrix, B and A standard normal: the variance of a full draw on every weight. Equal
 * arguments give equal files on every machine.
 *
 * @throws BrownianError usage (rank larger than a matrix, ...), unsupported-type (tensors without a rule, by name), output-exists, no-space, and
 * for anything else wrong with files
 * @example
 * const { members } = await writeAdapters("model.gguf", "members", { sigma: 0.07, members: 8, seed: 7n });
 * console.log(members[0].path); // m00.gguf, for llama-server --lora
 */
export async function writeAdapters(input: string, output: string, options: WriteAdaptersOptions): Promise<AdapterManifest> {
  const { antithetic = false, signal, onPlan } = checkOptions("writeAdapters", options, NAMES);
  checkText("input", input);
  checkText("output", output);
  if (onPlan !== undefined) checkFunction("onPlan", onPlan);
  const count = checkInteger("members", options.members ?? 16, 1, 100_000);
  const sigmas = levelsOf(options.sigma);
  const names = formatsOf(options.format ?? "gguf");
  const noise = noiseOf({ ...options, sigma: Math.max(...sigmas), carrier: "adapter" });
  const model = await readModel(input);
  const members = await Members.open(model, noise);
  for (const name of names) (ADAPTER_FORMATS[name] as AdapterFormat).check(members);
  const planned = names.flatMap((name) => planOf(members, name, { count, sigmas, antithetic }));
  const sizes = planned.map(({ files }) => files.reduce((sum, file) => sum + file.bytes, 0));
  const bytes = sizes.reduce((sum, n) => sum + n, 0);
  await checkOutputFolder(output, [MANIFEST, MEMBERS_CALIBRATION, ...planned.map(({ path }) => path)]);
  await checkRoom({ folder: dirname(resolve(output)), bytes, wayOut: "write fewer members, or elsewhere." });
  onPlan?.({
    files: planned.length,
    bytes,
    bytesEach: sizes.reduce((most, n) => Math.max(most, n), 0),
    matrices: members.matrices.length,
    weights: members.weights,
    skipped: members.skipped,
  });
  const manifest: AdapterManifest = {
    format: "brownian-adapters",
    version: 1,
    model: { ...(await identity(input)), architecture: architectureOf(model) },
    law: LAW,
    seed: String(members.seed),
    rank: members.rank,
    scale: noise.scale,
    sigma: sigmas,
    antithetic,
    members: planned.map(({ files, ...member }) => member),
    tensors: members.matrices.map(({ name, tensor: { shape }, unit }) => ({ name, shape, unit })),
    serve: Object.fromEntries(names.map((name) => [name, servingOf(name, basename(model.path), planned, "FOLDER")])),
  };
  const watch = watchOver(bytes, options);
  await writeFolderWhole(output, [MANIFEST, MEMBERS_CALIBRATION, ...planned.map(({ path }) => path)], async (folder) => {
    for (const { files } of planned) {
      for (const file of files) {
        signal?.throwIfAborted();
        const path = join(folder, file.path);
        await mkdir(dirname(path), { recursive: true });
        await writeAdapterFile(path, file);
        watch.onBytes?.(file.bytes);
      }
    }
    await writeFile(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
  });
  return manifest;
}

/** Sigmas above 0, rising. @throws BrownianError usage */
function levelsOf(given: number | readonly number[]): readonly number[] {
  const all = (typeof given === "number" ? [given] : [...given]).map((sigma) => checkNumber("sigma", sigma, Number.MIN_VALUE));
  if (all.length === 0 || new Set(all).size < all.length)
    throw new BrownianError("usage", "sigma must be a number, or several that differ.");
  return all.sort((a, b) => a - b);
}

/** The formats that a name stands for. @throws BrownianError usage */
export function formatsOf(format: AdapterFormatName | "both"): readonly AdapterFormatName[] {
  const names = Object.keys(ADAPTER_FORMATS) as AdapterFormatName[];
  checkChoice("format", format, [...names, "both"] as const);
  return format === "both" ? names : [format];
}

function planOf(
  members: Members,
  name: AdapterFormatName,
  { count, sigmas, antithetic }: { readonly count: number; readonly sigmas: readonly number[]; readonly antithetic: boolean },
): Planned[] {
  const format: AdapterFormat = ADAPTER_FORMATS[name];
  const width = Math.max(2, String(count - 1).length);
  const written = format.scaled ? sigmas.slice(-1) : antithetic ? sigmas.flatMap((sigma) => [sigma, -sigma]) : sigmas;
  return Array.from({ length: count }, (_, member) =>
    written.map((sigma) => {
      const called = `m${String(member).padStart(width, "0")}`;
      const file = { member, sigma, name: format.scaled ? called : `${called}${nameOfSigma(sigma)}` };
      return { path: format.place(file.name), format: name, member, sigma, files: format.files(members, file) };
    }),
  ).flat();
}

const nameOfSigma = (sigma: number): string => `-s${Math.abs(sigma)}${sigma < 0 ? "-minus" : ""}`;

/** How an engine is started with members, which lie in `folder`, and asked for one. */
function servingOf(name: AdapterFormatName, model: string, planned: readonly ManifestMember[], folder: string): string {
  const paths = planned.filter(({ format }) => format === name).map(({ path }) => path);
  if (ADAPTER_FORMATS[name].scaled) {
    const files = paths.map((path) => `${folder}/${path}`).join(",");
    const gguf = extname(model) === ".gguf" ? model : "MODEL.gguf"; // as converted from the folder
    return `llama-server -m ${gguf} --lora-init-without-apply --lora ${files}; in a request: "lora": [{"id": 0, "scale": 1}]`;
  }
  const [path] = paths;
  return `vLLM: --enable-lora --max-lora-rank RANK, VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, POST /v1/load_lora_adapter {"lora_name": "${path}", "lora_path": "${folder}/${path}"}; in a request: "model": "${path}"`;
}

/** The same for a folder of a manifest. */
export function servingLines({ members, model }: AdapterManifest, folder: string): readonly string[] {
  const names = [...new Set(members.map(({ format }) => format))];
  return names.map((name) => servingOf(name, model.file, members, resolve(folder)));
}

/** The GGUF adapter of a member. */
export function adapterFile(drawing: Drawing, member: number, sigma: number): AdapterFile {
  const [file] = ADAPTER_FORMATS.gguf.files(drawing, { member, sigma, name: `m${member}` }) as [AdapterFile];
  return file;
}

/** Writes a file of a member to a path where there is none. */
export async function writeAdapterFile(path: string, file: AdapterFile): Promise<void> {
  const handle: FileHandle = await open(path, "wx");
  try {
    let at = 0;
    let waiting: Uint8Array[] = [];
    let bytes = 0;
    const flush = async () => {
      await writeFully(handle, waiting.length === 1 ? (waiting[0] as Uint8Array) : Buffer.concat(waiting, bytes), at);
      at += bytes;
      waiting = [];
      bytes = 0;
    };
    for (const part of file.parts()) {
      waiting.push(part);
      bytes += part.length;
      if (bytes >= AT_ONCE) await flush();
    }
    if (bytes > 0) await flush();
    if (at !== file.bytes) throw new Error(`${path} has ${at} bytes, not ${file.bytes}`);
  } finally {
    await handle.close();
  }
}
