// Safetensors files made for tests, whole or broken on purpose, from the format's specification (https://huggingface.co/docs/safetensors#format).
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface RawTensor {
  readonly dtype: string;
  /** As the file has it: the last number is the length of a row. */
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A file of a header, as it stands, and bytes after it. */
export function rawSafetensors(header: string | Uint8Array, data: Uint8Array = new Uint8Array(), length?: bigint): Buffer {
  const text = Buffer.from(header);
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([start, text, data]);
}

/** A whole file: tensors one after the other, in this order. */
export function safetensorsOf(tensors: Readonly<Record<string, RawTensor>>, metadata?: Record<string, string>): Buffer {
  let end = 0;
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  return rawSafetensors(JSON.stringify(header), Buffer.concat(Object.values(tensors).map(({ data }) => data)));
}

/** A folder with a model in it: files of weights (with an index, where there are several), a config, and what else is given. */
export function writeHfFolder(
  folder: string,
  shards: readonly Readonly<Record<string, RawTensor>>[],
  config: object = { model_type: "llama" },
  others: Readonly<Record<string, string>> = { "tokenizer.json": "{}" },
): void {
  mkdirSync(folder, { recursive: true });
  const five = (n: number) => String(n).padStart(5, "0");
  const called = (i: number) =>
    shards.length === 1 ? "model.safetensors" : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`;
  const map: Record<string, string> = {};
  for (const [i, tensors] of shards.entries()) {
    writeFileSync(join(folder, called(i)), safetensorsOf(tensors, { format: "pt" }));
    for (const name of Object.keys(tensors)) map[name] = called(i);
  }
  if (shards.length > 1)
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map: map }));
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  for (const [name, text] of Object.entries(others)) writeFileSync(join(folder, name), text);
}
