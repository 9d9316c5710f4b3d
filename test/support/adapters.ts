// Adapters read back from what was written, by the formats' own specifications.
import { readFileSync } from "node:fs";
import { readModel } from "../../src/files/index.js";
import { decode } from "../../src/lattice/decode.js";

export interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Tensors of a GGUF file, with the rows' length first. */
export async function readGgufTensors(path: string): Promise<Map<string, Numbers>> {
  const { tensors } = await readModel(path);
  const bytes = readFileSync(path);
  const one = (type: string, offset: number, length: number) =>
    decode(type, Uint8Array.from(bytes.subarray(offset, offset + length)));
  return new Map(tensors.map((t) => [t.name, { shape: t.shape, values: one(t.type, t.offset, t.bytes) }]));
}

/** Tensors of a safetensors file, with the number of rows first (https://github.com/huggingface/safetensors#format). */
export function readSafetensors(path: string): Map<string, Numbers> {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString("utf8", 8, start)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            shape,
            data_offsets: [from, to],
          },
        ]) => {
          const part = Uint8Array.from(bytes.subarray(start + from, start + to));
          return [name, { shape, values: new Float32Array(part.buffer) }];
        },
      ),
  );
}

/** Rows of B·A, where B has `rank` numbers a row and A `columns`. */
export function product(b: Float32Array, a: Float32Array, rank: number): number[][] {
  const columns = a.length / rank;
  return Array.from({ length: b.length / rank }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += (b[i * rank + k] as number) * (a[k * columns + j] as number);
      return sum;
    }),
  );
}
