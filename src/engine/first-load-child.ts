// The program of the child process that loads a file first (first-load.ts): all that follows once, with an answer at the end. Where the engine
// ends the process there is none, and that is the answer. Nothing imports it but for its types.

import { BrownianError, type ErrorCode } from "../errors.js";
import { ENGINES, type EngineName } from "./engines.js";
import type { Engine, EngineOptions } from "./interface.js";

/** What a child is to load, and with what. */
export interface ChildTask extends Pick<EngineOptions, "threads" | "contextSize" | "gpuLayers"> {
  readonly engine: EngineName;
  readonly path: string;
  /** What the user calls the model. */
  readonly name: string;
  readonly repacks: readonly boolean[];
}

/** How it went. */
export type ChildAnswer = { readonly well: true } | { readonly code: ErrorCode; readonly message: string };

/** Letters that most vocabularies have, and some that few have: a tokenizer without tokens of bytes fails on those. */
const TEXT = "Once upon a time é漢";
/** Tokens that are read at once; then one alone, as texts are written. */
const PROMPT = 4;

/** An error that can be caught is left to the text that it comes up with. */
function tokensOf(engine: Engine): number[] {
  try {
    return engine.tokenize(TEXT);
  } catch {
    return [0];
  }
}

async function load({ engine, path, name, repacks, ...options }: ChildTask): Promise<ChildAnswer> {
  try {
    for (const repack of repacks) {
      const loaded = await ENGINES[engine].load(path, name, { ...options, repack });
      const tokens = tokensOf(loaded).slice(0, PROMPT);
      loaded.text(tokens, []);
      await loaded.score(tokens, {}, () => undefined);
      await loaded.logits(tokens.slice(0, 1));
      const twice = [tokens, tokens];
      if ((loaded.shortTexts?.fitting(twice, 0) ?? 1) === twice.length)
        await loaded.shortTexts?.score(twice, [{}, {}], () => undefined);
      await loaded.dispose();
    }
    return { well: true };
  } catch (error) {
    return {
      code: error instanceof BrownianError ? error.code : "engine-failed",
      message:
        error instanceof BrownianError ? error.message : `The engine (llama.cpp) fails with ${name}: ${(error as Error).message}`,
    };
  }
}

// Whoever started this process has ended, or has lost interest. The engine may be at work on another thread: nothing is to wait for it.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// Debuggers that are started for a stack trace take seconds.
process.env.GGML_NO_BACKTRACE = "1";
const answer = await load(JSON.parse(process.argv[2] as string) as ChildTask);
process.send?.(answer, () => process.exit(0));
