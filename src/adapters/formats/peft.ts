// PEFT adapters (adapter_config.json and safetensors), as vLLM, SGLang, TGI and transformers read them: of each linear layer lora_A.weight
// [r, n_in] and lora_B.weight [n_out, r], added as lora_alpha / r · B·A, with lora_alpha = r. A file has one scale, fixed. The names of layers, and
// the order of rows, are those of Hugging Face.

import { BrownianError } from "../../errors.js";
import { type Drawing, rowsOf } from "../members.js";
import { architectureOf, blocksOf, isNamed, layerOf, NAMED, placeOf, rowOrder } from "../names.js";
import type { AdapterFile, AdapterFormat, MemberFile } from "./format.js";

function configOf({ model, rank, matrices, mixed }: Drawing, { member, sigma }: MemberFile): Uint8Array {
  const layers = matrices.map(({ name }) => layerOf(name) as string);
  const kinds = [...new Set(layers.map((layer) => layer.split(".").at(-1) as string))];
  const blocks = new Set(matrices.map(({ name }) => placeOf(name)?.block)).size;
  const whole = layers.length === kinds.length * blocks && blocks === blocksOf(model);
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
  for (const { name, rows, columns } of matrices) {
    const layer = `base_model.model.${layerOf(name)}`;
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
        yield new Uint8Array(rowsOf(b, rank, rowOrder(model, matrix.name, matrix.rows)).buffer);
      }
    },
  };
}

export const peft: AdapterFormat = {
  summary: "vLLM, SGLang, TGI and transformers: a folder for each sigma and sign",
  scaled: false,

  check({ model, matrices }) {
    const unknown = !isNamed(model);
    const [without] = matrices.filter(({ name }) => layerOf(name) === undefined);
    if (!unknown && without === undefined) return;
    const what = unknown ? `the architecture ${architectureOf(model)} (known: ${NAMED.join(", ")})` : `${without?.tensor.name}`;
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
