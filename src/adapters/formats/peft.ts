// PEFT adapters (adapter_config.json and safetensors), as vLLM, SGLang, TGI and transformers read them: of each linear layer lora_A.weight
// [r, n_in] and lora_B.weight [n_out, r], added as lora_alpha / r · B·A, with lora_alpha = r. A file has one scale, fixed. The names of layers, and
// the order of the rows of q and k, which llama.cpp's converter interleaves for its RoPE in the llama family, are those of Hugging Face.

import { BrownianError } from "../../errors.js";
import type { ModelFile, Tensor } from "../../files/index.js";
import { placeOf } from "../matrices.js";
import { type Drawing, type Matrix, rowsOf } from "../members.js";
import type { AdapterFile, AdapterFormat, MemberFile } from "./format.js";

const LAYERS: Readonly<Record<string, string>> = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** Architectures whose layers have these names, and whether llama.cpp's converter interleaves the rows of q and k. */
const INTERLEAVED: Readonly<Record<string, boolean>> = {
  llama: true,
  qwen2: false,
  qwen3: false,
  gemma: false,
  gemma2: false,
  gemma3: false,
};

const HEADS: Readonly<Record<string, string>> = { attn_q: "head_count", attn_k: "head_count_kv" };

/** A layer's name in Hugging Face's models; undefined where there is no rule. */
function layerOf({ name }: Tensor): string | undefined {
  if (name === "output.weight") return "lm_head";
  const place = placeOf(name);
  const layer = place === undefined ? undefined : LAYERS[place.part];
  return layer === undefined ? undefined : `model.layers.${place?.block}.${layer}`;
}

/** Where a row of a GGUF tensor lies in Hugging Face's. */
export function rowOrder(model: ModelFile, { tensor, rows }: Matrix): ((row: number) => number) | undefined {
  const place = placeOf(tensor.name);
  const key = place === undefined ? undefined : HEADS[place.part];
  if (!INTERLEAVED[model.architecture] || place === undefined || key === undefined) return undefined;
  const size = rows / headsOf(model, key, place.block);
  // Row 2i + h of a head is row i of half h.
  return (row) => {
    const within = row % size;
    return row - within + (within % 2) * (size / 2) + (within >> 1);
  };
}

function headsOf(model: ModelFile, key: string, block: number): number {
  const found = model.metadata[`${model.architecture}.attention.${key}`];
  const heads = Array.isArray(found) ? found[block] : found;
  // Without heads of their own, keys have those of queries.
  if (heads === undefined && key !== "head_count") return headsOf(model, "head_count", block);
  if (typeof heads === "number" && heads > 0) return heads;
  throw new BrownianError("corrupt-gguf", `${model.path} does not say how many heads block ${block} has (${key}).`);
}

function configOf({ model, rank, matrices, mixed }: Drawing, { member, sigma }: MemberFile): Uint8Array {
  const layers = matrices.map(({ tensor }) => layerOf(tensor) as string);
  const kinds = [...new Set(layers.map((layer) => layer.split(".").at(-1) as string))];
  const blocks = new Set(matrices.map(({ tensor }) => placeOf(tensor.name)?.block)).size;
  const whole = layers.length === kinds.length * blocks && blocks === model.metadata[`${model.architecture}.block_count`];
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: model.metadata["general.name"] ?? "",
    r: rank,
    lora_alpha: rank,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
    target_modules: whole ? kinds : layers,
    brownian: mixed === undefined ? { member, sigma } : { mixed },
  };
  return Buffer.from(`${JSON.stringify(config, null, 2)}\n`);
}

/** Length of the header, header, tensors: https://github.com/huggingface/safetensors#format */
function weightsOf(members: Drawing, file: MemberFile, path: string): AdapterFile {
  const { model, rank, matrices } = members;
  const entries: Record<string, unknown> = { __metadata__: { format: "pt" } };
  let end = 0;
  const add = (name: string, shape: readonly number[]) => {
    const bytes = 4 * shape.reduce((product, n) => product * n, 1);
    entries[name] = { dtype: "F32", shape, data_offsets: [end, end + bytes] };
    end += bytes;
  };
  for (const { tensor, rows, columns } of matrices) {
    const layer = `base_model.model.${layerOf(tensor)}`;
    add(`${layer}.lora_A.weight`, [rank, columns]);
    add(`${layer}.lora_B.weight`, [rows, rank]);
  }
  const json = Buffer.from(JSON.stringify(entries));
  const header = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, " ");
  header.writeBigUInt64LE(BigInt(header.length - 8));
  json.copy(header, 8);
  return {
    path,
    bytes: header.length + end,
    *parts() {
      yield header;
      for (const { matrix, a, b } of members.draw(file.member, file.sigma)) {
        yield new Uint8Array(a.buffer);
        yield new Uint8Array(rowsOf(b, rank, rowOrder(model, matrix)).buffer);
      }
    },
  };
}

export const peft: AdapterFormat = {
  summary: "vLLM, SGLang, TGI and transformers: a folder for each sigma and sign",
  scaled: false,

  check({ model, matrices }) {
    const unknown = !Object.hasOwn(INTERLEAVED, model.architecture);
    const [without] = matrices.filter(({ tensor }) => layerOf(tensor) === undefined);
    if (!unknown && without === undefined) return;
    const what = unknown
      ? `the architecture ${model.architecture} (known: ${Object.keys(INTERLEAVED).join(", ")})`
      : `${without?.tensor.name}`;
    throw new BrownianError(
      "unsupported-type",
      `${model.path}: PEFT's names for ${what} are not known here: write GGUF adapters (--format gguf), or name other tensors with --only.`,
    );
  },

  place: (name) => name,

  files(members, file) {
    const config = configOf(members, file);
    return [
      { path: `${file.name}/adapter_config.json`, bytes: config.length, parts: () => [config] },
      weightsOf(members, file, `${file.name}/adapter_model.safetensors`),
    ];
  },
};
