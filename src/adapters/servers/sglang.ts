// SGLang: adapters are loaded and unloaded while it runs (--enable-lora), and named with each request (lora_path).
// https://docs.sglang.ai/advanced_features/lora.html

import { BrownianError } from "../../errors.js";
import { type Server, ServerError } from "./http.js";
import { askOpenAi, modelsOf } from "./openai.js";
import { type Protocol, responseFormat, type Shape } from "./protocol.js";
import { readEchoed } from "./reading.js";
import { andStayed, saidOf, unloadEach } from "./unloading.js";

const START = "python -m sglang.launch_server --model-path MODEL --enable-lora --max-lora-rank RANK --lora-target-modules all";

async function change(server: Server, path: string, body: object, signal?: AbortSignal): Promise<string | undefined> {
  const answer = (await server.post(path, body, signal)) as { success?: unknown; error_message?: unknown } | null;
  return answer?.success === false ? String(answer.error_message ?? "it gives no reason") : undefined;
}

export const sglang: Protocol = {
  name: "SGLang",
  format: "peft",
  scaled: false,

  knows: async (server, signal) => (await modelsOf(server, signal)).some(({ owned_by }) => owned_by === "sglang"),

  async load(server, files, own, signal) {
    const called: string[] = [];
    try {
      for (const { name, path } of files) {
        const lora_name = `${own}-${name}`;
        called.push(lora_name);
        const why = await refusal(server, { lora_name, lora_path: path }, signal);
        if (why !== undefined)
          throw new BrownianError(
            "usage",
            `${server.url} does not load member ${name} (${path}): ${why} It is to be started as ${START}.`,
          );
      }
    } catch (error) {
      throw andStayed(error, [saidOf(server.url, await sglang.unload(server, called))]);
    }
    return called;
  },

  kept: keptAsJson,

  /** Its own min_p cuts after the temperature. */
  dice: (minP) => (minP === 0 ? { top_k: -1, top_p: 1, min_p: 0 } : undefined),

  ask(server, asked, member, signal) {
    const lora = member !== undefined && { lora_path: member.called };
    return askOpenAi(server, asked, { ...(asked.shape && keptAsJson(asked.shape)), model: "default", ...lora }, signal);
  },

  read: (server, text, member, signal) =>
    readEchoed(server, text, { model: "default", ...(member !== undefined && { lora_path: member.called }) }, signal),

  unload: (server, called) => unloadEach(called, (lora_name) => change(server, "/unload_lora_adapter", { lora_name })),
};

/** Its grammars are written in another way than GBNF. */
function keptAsJson(shape: Shape): Readonly<Record<string, unknown>> | undefined {
  return "json" in shape ? responseFormat(shape.json) : undefined;
}

/** Why a member is not loaded; undefined where it is. Releases differ in whether a refusal has a status of its own (0.5: 400). */
async function refusal(server: Server, body: object, signal: AbortSignal | undefined): Promise<string | undefined> {
  const why = await change(server, "/load_lora_adapter", body, signal).catch((error: unknown) => {
    if (!(error instanceof ServerError) || error.transient) throw error;
    return error.message;
  });
  return why !== undefined && /already (been )?loaded|already exists/.test(why) ? undefined : why;
}
