// llama.cpp's llama-server: adapters are loaded when it starts (--lora), and chosen with a scale for each request (tools/server/README.md). A number
// that it does not know it passes over, and writes with clean weights: so that is found out before.

import { BrownianError } from "../../errors.js";
import type { Server } from "./http.js";
import { askOpenAi } from "./openai.js";
import { type Asked, isServedChat, type Protocol, responseFormat, type ServedFile } from "./protocol.js";
import { readByBeginnings } from "./reading.js";

interface Loaded {
  readonly id: number;
  readonly path: string;
}

async function loadedBy(server: Server, signal: AbortSignal | undefined): Promise<readonly Loaded[] | undefined> {
  const list = await server.find("/lora-adapters", signal);
  return Array.isArray(list) ? list.filter(({ id, path }) => typeof id === "number" && typeof path === "string") : undefined;
}

/** How it has to be started to have these members. */
export const startLine = (files: readonly ServedFile[]): string =>
  `llama-server -m MODEL --lora-init-without-apply --lora ${files.map(({ path }) => path).join(",")}`;

/**
 * The scales of a request. Those that it does not name are 0, but an empty list is as good as none, and then all are what they were started with: 1,
 * also with --lora-init-without-apply (build 0.6.0-dev). So clean weights have one named, too.
 */
const loraOf = (member: { readonly called: string; readonly scale: number } | undefined) =>
  member === undefined ? [{ id: 0, scale: 0 }] : [{ id: Number(member.called), scale: member.scale }];

/**
 * An answer that ends at a stop string lacks the log-probabilities of as many tokens as that string has by itself, whether they are of it or not: "\n" is
 * two by SentencePiece. Piece by piece it tells all of them (build 0.6.0-dev).
 */
const heardAtStops = (asked: Asked): Asked =>
  (asked.stop ?? []).length === 0 || asked.plain ? asked : { ...asked, heard: asked.heard ?? (() => undefined) };

export const llamaServer: Protocol = {
  name: "llama-server",
  format: "gguf",
  scaled: true,

  async knows(server, signal) {
    return (await loadedBy(server, signal)) !== undefined;
  },

  async load(server, files, _own, signal) {
    const loaded = (await loadedBy(server, signal)) ?? [];
    // It says of an adapter no more than the path that it was given, which may be relative to wherever it was started.
    const found = files.map(({ name, path }) => {
      const exact = loaded.find((one) => one.path === path);
      return (exact ?? loaded.find((one) => one.path === name || one.path.endsWith(`/${name}`) || path.endsWith(`/${one.path}`)))
        ?.id;
    });
    const missing = files.filter((_, i) => found[i] === undefined);
    if (missing.length === 0) return found.map(String);
    const what =
      loaded.length === 0
        ? "has no adapters"
        : `lacks ${missing.length} of the ${files.length} members (${missing[0]?.name}${missing.length > 1 ? ", ..." : ""})`;
    throw new BrownianError("usage", `${server.url} ${what}. llama-server loads them when it starts: ${startLine(files)}`);
  },

  kept(shape, chat) {
    if ("grammar" in shape) return shape;
    return chat ? responseFormat(shape.json) : { json_schema: shape.json.schema ?? { type: "object" } };
  },

  dice: (minP) => ({ top_k: 0, top_p: 1, min_p: minP, repeat_penalty: 1 }),

  ask(server, asked, member, signal) {
    const kept = asked.shape && llamaServer.kept(asked.shape, isServedChat(asked.prompt));
    return askOpenAi(server, heardAtStops(asked), { ...kept, lora: loraOf(member), cache_prompt: false }, signal);
  },

  read(server, text, member, signal) {
    return readByBeginnings(server, text, { lora: loraOf(member) }, signal);
  },

  unload: async () => [],
};
