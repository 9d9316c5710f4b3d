// vLLM: adapters are loaded and unloaded while it runs (VLLM_ALLOW_RUNTIME_LORA_UPDATING=True), each is a model's name, and requests with different
// ones share a batch. https://docs.vllm.ai/en/latest/features/lora.html

import { BrownianError } from "../../errors.js";
import { type Server, ServerError, STRANGE } from "./http.js";
import { askOpenAi, modelsOf } from "./openai.js";
import { type Protocol, responseFormat, type Shape } from "./protocol.js";
import { readEchoed } from "./reading.js";
import { andStayed, saidOf, unloadEach } from "./unloading.js";

/** How it has to be started. */
const START = "vllm serve MODEL --enable-lora --max-lora-rank RANK, with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True";

/** The base model of each server. */
const bases = new WeakMap<Server, string>();

async function baseOf(server: Server, signal: AbortSignal | undefined): Promise<string> {
  let base = bases.get(server);
  if (base === undefined) {
    const found = (await modelsOf(server, signal)).find(({ parent }) => parent === null || parent === undefined)?.id;
    if (typeof found !== "string") throw new ServerError(`${server.url} names no model (/v1/models).`, STRANGE);
    base = found;
    bases.set(server, base);
  }
  return base;
}

export const vllm: Protocol = {
  name: "vLLM",
  format: "peft",
  scaled: false,

  knows: async (server, signal) => (await modelsOf(server, signal)).some(({ owned_by }) => owned_by === "vllm"),

  async load(server, files, own, signal) {
    const there = new Set((await modelsOf(server, signal)).map(({ id }) => id));
    const called: string[] = [];
    try {
      for (const { name, path } of files) {
        const lora_name = `${own}-${name}`;
        called.push(lora_name);
        if (!there.has(lora_name)) await loadOne(server, name, { lora_name, lora_path: path }, signal);
      }
    } catch (error) {
      throw andStayed(error, [saidOf(server.url, await vllm.unload(server, called))]);
    }
    return called;
  },

  kept: keptAsJson,

  /** Its own min_p cuts after the temperature. */
  dice: (minP) => (minP === 0 ? { top_k: -1, top_p: 1, min_p: 0 } : undefined),

  async ask(server, asked, member, signal) {
    const model = member?.called ?? (await baseOf(server, signal));
    return askOpenAi(server, asked, { ...(asked.shape && keptAsJson(asked.shape)), model }, signal);
  },

  async read(server, text, member, signal) {
    return readEchoed(server, text, { model: member?.called ?? (await baseOf(server, signal)) }, signal);
  },

  /** With adapters, it takes the places of all requests for those of one text: two of them end the engine (0.32; vllm-project/vllm issue 16668). */
  readsAtOnce: 1,

  unload: (server, called) =>
    unloadEach(called, async (lora_name) => {
      await server.post("/v1/unload_lora_adapter", { lora_name });
      return undefined;
    }),
};

/** The field for grammars has had another name in every few releases, and unknown fields are passed over in silence. */
function keptAsJson(shape: Shape): Readonly<Record<string, unknown>> | undefined {
  return "json" in shape ? responseFormat(shape.json) : undefined;
}

async function loadOne(
  server: Server,
  name: string,
  body: { readonly lora_name: string; readonly lora_path: string },
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await server.post("/v1/load_lora_adapter", body, signal);
  } catch (error) {
    if (!(error instanceof ServerError) || error.transient) throw error;
    if (/already (been )?loaded/.test(error.message)) return;
    // FastAPI's own 404: the route is there only where adapters may be loaded.
    const closed = error.status === 404 && /: Not Found$/.test(error.message);
    const why = closed
      ? `takes no adapters while it runs: start it as ${START}`
      : `does not load member ${name} (${body.lora_path}): ${error.message}`;
    throw new BrownianError("usage", `${server.url} ${why}`, { cause: error });
  }
}
