// The environment variables that the library reads, all of them, and nowhere else (test/house/environment.test.ts). Rests on errors only. Works
// wherever the library does: a browser has no variables, and Deno may forbid to ask. Must never be kept: each is read when it is asked for.

import { BrownianError } from "./errors.js";

/** What the environment says; undefined where it says nothing. An empty variable says nothing. */
export interface Environment {
  /** BROWNIAN_BACKEND: the one backend that may run: "native", "wasm" or "js", in any case of letters. */
  readonly backend: string | undefined;
  /** BROWNIAN_ISA: the one instruction set that may run: "avx512", "avx2", "neon", "simd128" or "scalar", in any case of letters. */
  readonly isa: string | undefined;
  /**
   * BROWNIAN_THREADS: threads for work on files, and of the engine; 1...1024.
   *
   * @throws BrownianError `usage` when it is anything else
   */
  readonly threads: number | undefined;
  /** BROWNIAN_SCRATCH: the folder of live copies. */
  readonly scratch: string | undefined;
  /** BROWNIAN_CACHE: the folder of what is remembered from one process to the next. */
  readonly cache: string | undefined;
  /** Where the platform keeps such folders: XDG_CACHE_HOME, or LOCALAPPDATA on Windows. */
  readonly caches: string | undefined;
  /** BROWNIAN_API_KEY: the key of `brownian serve`, which on a command line every user of the machine could read. */
  readonly apiKey: string | undefined;
  /**
   * BROWNIAN_MAX_HEADER, in MiB: how large the header of a model may be; in bytes. 1 GiB unless it says otherwise.
   *
   * @throws BrownianError `usage` when it is no number above 0
   */
  readonly maxHeader: number;
  /** HF_ENDPOINT: who is asked for what hf: names; a mirror, say. */
  readonly huggingFace: string | undefined;
  /** HF_TOKEN: the key to what is not for everybody there. */
  readonly huggingFaceToken: string | undefined;
  /** OLLAMA_MODELS: the folder of Ollama's models. */
  readonly ollamaModels: string | undefined;
  /** CXX: the C++ compiler, with its flags, if any. */
  readonly compiler: string | undefined;
  /** npm_execpath: npm's own program, where npm started this one. */
  readonly npm: string | undefined;
}

const MOST_THREADS = 1024;
const MIB = 2 ** 20;
const HEADER_MIB = 1024;

type Name =
  | "BROWNIAN_BACKEND"
  | "BROWNIAN_ISA"
  | "BROWNIAN_THREADS"
  | "BROWNIAN_SCRATCH"
  | "BROWNIAN_CACHE"
  | "BROWNIAN_API_KEY"
  | "BROWNIAN_MAX_HEADER"
  | "XDG_CACHE_HOME"
  | "LOCALAPPDATA"
  | "HF_ENDPOINT"
  | "HF_TOKEN"
  | "OLLAMA_MODELS"
  | "CXX"
  | "npm_execpath";

function variable(name: Name): string | undefined {
  try {
    return globalThis.process?.env?.[name] || undefined;
  } catch {
    return undefined;
  }
}

export const environment: Environment = {
  get backend() {
    return variable("BROWNIAN_BACKEND");
  },
  get isa() {
    return variable("BROWNIAN_ISA");
  },
  get threads() {
    const wanted = variable("BROWNIAN_THREADS");
    if (wanted === undefined) return undefined;
    const threads = Number(wanted);
    if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return threads;
    throw new BrownianError("usage", `BROWNIAN_THREADS must be a whole number from 1 to ${MOST_THREADS}, but is "${wanted}".`);
  },
  get scratch() {
    return variable("BROWNIAN_SCRATCH");
  },
  get cache() {
    return variable("BROWNIAN_CACHE");
  },
  get caches() {
    return variable(globalThis.process?.platform === "win32" ? "LOCALAPPDATA" : "XDG_CACHE_HOME");
  },
  get apiKey() {
    return variable("BROWNIAN_API_KEY");
  },
  get maxHeader() {
    const wanted = variable("BROWNIAN_MAX_HEADER");
    if (wanted === undefined) return HEADER_MIB * MIB;
    const size = Number(wanted);
    if (size > 0 && size < Number.POSITIVE_INFINITY) return size * MIB;
    throw new BrownianError("usage", `BROWNIAN_MAX_HEADER must be a number of MiB above 0, but is "${wanted}".`);
  },
  get huggingFace() {
    return variable("HF_ENDPOINT");
  },
  get huggingFaceToken() {
    return variable("HF_TOKEN");
  },
  get ollamaModels() {
    return variable("OLLAMA_MODELS");
  },
  get compiler() {
    return variable("CXX");
  },
  get npm() {
    return variable("npm_execpath");
  },
};
