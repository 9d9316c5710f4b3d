// What matrices are called, and how their rows lie: members are drawn by the names and in the order of GGUF, whatever a model lies in, so that a
// member of a model is the same noise in all formats. Hugging Face has names of its own, and in the llama family another order of the rows of q and
// k, which llama.cpp's converter interleaves for its RoPE.

import { BrownianError } from "../errors.js";
import type { ModelFile } from "../files/index.js";

/** A matrix of a block by its name in GGUF: which block, and which part of it. */
export interface Place {
  readonly block: number;
  /** Such as "attn_q". */
  readonly part: string;
}

const LAYERS: Readonly<Record<string, string>> = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};
const PARTS = new Map(Object.entries(LAYERS).map(([part, layer]) => [layer, part]));

/** Architectures whose layers have these names, and whether llama.cpp's converter interleaves the rows of q and k. */
const INTERLEAVED: Readonly<Record<string, boolean>> = {
  llama: true,
  qwen2: false,
  qwen3: false,
  gemma: false,
  gemma2: false,
  gemma3: false,
};
/** Kinds of models of Hugging Face that llama.cpp calls otherwise. */
const ALSO: Readonly<Record<string, string>> = { mistral: "llama", gemma3_text: "gemma3" };

/** Heads by part, as GGUF and as configs of Hugging Face have them. */
const HEADS: Readonly<Record<string, { readonly gguf: string; readonly config: string }>> = {
  attn_q: { gguf: "head_count", config: "num_attention_heads" },
  attn_k: { gguf: "head_count_kv", config: "num_key_value_heads" },
};

/** Architectures that both kinds of names are known of. */
export const NAMED: readonly string[] = Object.keys(INTERLEAVED);

/** Whether a model has names of Hugging Face's. */
export const isHuggingFace = ({ container }: Pick<ModelFile, "container">): boolean => container === "safetensors";

/** As llama.cpp calls it. */
export const architectureOf = (model: ModelFile): string =>
  isHuggingFace(model) ? (ALSO[model.architecture] ?? model.architecture) : model.architecture;

/** Whether both kinds of names, and the order of rows, are known of a model. */
export const isNamed = (model: ModelFile): boolean => Object.hasOwn(INTERLEAVED, architectureOf(model));

/** What GGUF calls a tensor of the model; where there is no rule, its own name. */
export function nameInGguf(model: Pick<ModelFile, "container">, name: string): string {
  if (!isHuggingFace(model)) return name;
  if (name === "lm_head.weight") return "output.weight";
  if (name === "model.embed_tokens.weight") return "token_embd.weight";
  const found = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name);
  const part = found === null ? undefined : PARTS.get(found[2] as string);
  return part === undefined ? name : `blk.${found?.[1]}.${part}.weight`;
}

/** Where in a block a tensor of GGUF is; undefined for those that are in none. */
export function placeOf(name: string): Place | undefined {
  const found = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name);
  return found === null ? undefined : { block: Number(found[1]), part: found[2] as string };
}

/** The layer of Hugging Face's models that a tensor of GGUF is; undefined where there is no rule. */
export function layerOf(name: string): string | undefined {
  if (name === "output.weight") return "lm_head";
  const place = placeOf(name);
  const layer = place === undefined ? undefined : LAYERS[place.part];
  return layer === undefined ? undefined : `model.layers.${place?.block}.${layer}`;
}

/** Where a row of a tensor of GGUF lies in Hugging Face's; undefined where it is the same. @throws BrownianError corrupt-gguf, without heads */
export function rowOrder(model: ModelFile, name: string, rows: number): ((row: number) => number) | undefined {
  const place = placeOf(name);
  if (!INTERLEAVED[architectureOf(model)] || place === undefined || HEADS[place.part] === undefined) return undefined;
  const size = rows / headsOf(model, place.part, place.block);
  // Row 2i + h of a head is row i of half h.
  return (row) => {
    const within = row % size;
    return row - within + (within % 2) * (size / 2) + (within >> 1);
  };
}

/** How many blocks the model says that it has; undefined where it does not. */
export function blocksOf(model: ModelFile): unknown {
  return isHuggingFace(model) ? configOf(model).num_hidden_layers : model.metadata[`${model.architecture}.block_count`];
}

const configOf = ({ metadata }: ModelFile) => (metadata.config ?? {}) as Readonly<Record<string, unknown>>;

function headsOf(model: ModelFile, part: string, block: number): number {
  const { gguf, config } = HEADS[part] as { gguf: string; config: string };
  const found = isHuggingFace(model) ? configOf(model)[config] : model.metadata[`${model.architecture}.attention.${gguf}`];
  const heads = Array.isArray(found) ? found[block] : found;
  // Without heads of their own, keys have those of queries.
  if (heads === undefined && part !== "attn_q") return headsOf(model, "attn_q", block);
  if (typeof heads === "number" && heads > 0) return heads;
  throw new BrownianError(
    "corrupt-gguf",
    `${model.path} does not say how many heads block ${block} has (${isHuggingFace(model) ? config : gguf}).`,
  );
}
