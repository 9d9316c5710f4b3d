// A GGUF model in several files, as llama-gguf-split writes it: NAME-00001-of-00003.gguf and so on, with what concerns the whole in the first.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GGML_TYPES } from "../../src/files/containers/ggml-types.js";
import { readModel, type Tensor } from "../../src/files/index.js";

const START = 24;
const ALIGNMENT = 32;
const [U16, I32] = [2, 5];

function numbers(...values: readonly (readonly [bytes: 2 | 4 | 8, value: number])[]): Buffer {
  return Buffer.concat(
    values.map(([bytes, value]) => {
      const out = Buffer.alloc(8);
      out.writeBigUInt64LE(BigInt(value));
      return out.subarray(0, bytes);
    }),
  );
}

const text = (value: string): Buffer => Buffer.concat([numbers([8, Buffer.byteLength(value)]), Buffer.from(value)]);

const aligned = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT)]);

function infoOf({ name, shape, type }: Tensor, offset: number): Buffer {
  const [id] = [...GGML_TYPES].find(([, known]) => known.name === type) as [number, unknown];
  const lengths = shape.map((n) => [8, n] as const);
  return Buffer.concat([text(name), numbers([4, shape.length], ...lengths, [4, id], [8, offset])]);
}

export interface SplitOptions {
  /** How many tensors there are in each file but the last. */
  readonly tensors: readonly number[];
  /** What the parts say of themselves, when that is a lie. */
  readonly says?: { readonly number?: (i: number) => number; readonly count?: (i: number) => number; readonly tensors?: number };
}

/** Writes the model at `path`, which is in one file, as several called `name` in `folder`. Returns their paths. */
export async function splitModel(path: string, folder: string, name: string, options: SplitOptions): Promise<string[]> {
  const { parts, tensors } = await readModel(path);
  const bytes = readFileSync(path);
  const infos = tensors.reduce((sum, tensor) => sum + infoOf(tensor, 0).length, 0);
  const keys = bytes.subarray(START, (parts[0]?.header?.bytes as number) - infos);
  const keyCount = Number(bytes.readBigUInt64LE(16));
  const cuts = [0, ...options.tensors.map((_, i) => options.tensors.slice(0, i + 1).reduce((a, b) => a + b, 0)), tensors.length];
  const count = cuts.length - 1;
  const { number = (i) => i, count: said = () => count, tensors: saidTensors = tensors.length } = options.says ?? {};
  return Array.from({ length: count }, (_, i) => {
    const own = tensors.slice(cuts[i], cuts[i + 1]);
    const split = [
      [text("split.no"), numbers([4, U16], [2, number(i)])],
      [text("split.count"), numbers([4, U16], [2, said(i)])],
      [text("split.tensors.count"), numbers([4, I32], [4, saidTensors])],
    ].flat();
    let at = 0;
    const data: Buffer[] = [];
    const directory = own.map((tensor) => {
      const info = infoOf(tensor, at);
      data.push(aligned(bytes.subarray(tensor.offset, tensor.offset + tensor.bytes)));
      at += data.at(-1)?.length as number;
      return info;
    });
    const counts = numbers([4, 3], [8, own.length], [8, 3 + (i === 0 ? keyCount : 0)]);
    const header = Buffer.concat([Buffer.from("GGUF"), counts, ...(i === 0 ? [keys] : []), ...split, ...directory]);
    const five = (n: number) => String(n).padStart(5, "0");
    const out = join(folder, `${name}-${five(i + 1)}-of-${five(count)}.gguf`);
    writeFileSync(out, Buffer.concat([aligned(header), ...data]));
    return out;
  });
}
