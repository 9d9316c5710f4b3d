// GGUF adapters, as llama.cpp reads them (src/llama-adapter.cpp): general.type "adapter", adapter.type "lora", and of each matrix
// NAME.lora_a [n_in, r] and NAME.lora_b [r, n_out], added as scale · alpha / r · B·A. Alpha is r, so that the scale of a request is all there is.

import { type GgufTensor, ggufLayout, ggufMetadata } from "../../files/containers/gguf-writer.js";
import { type Drawing, rowsOf } from "../members.js";
import { architectureOf } from "../names.js";
import type { AdapterFormat, MemberFile } from "./format.js";

function layoutOf(members: Drawing, { member, sigma }: MemberFile) {
  const { model, rank, seed, mixed } = members;
  const metadata = ggufMetadata({
    "general.type": { text: "adapter" },
    "general.architecture": { text: architectureOf(model) },
    "general.name": { text: mixed ?? `brownian member ${member} of seed ${seed}` },
    "adapter.type": { text: "lora" },
    "adapter.lora.alpha": { f32: rank },
    "brownian.seed": { u64: seed },
    ...(mixed === undefined && { "brownian.member": { u32: member }, "brownian.sigma": { f32: sigma } }),
  });
  const tensors = members.matrices.flatMap(({ name, rows, columns }): GgufTensor[] => [
    { name: `${name}.lora_a`, type: "F32", shape: [columns, rank] },
    { name: `${name}.lora_b`, type: "F32", shape: [rank, rows] },
  ]);
  return ggufLayout(metadata, tensors);
}

export const gguf: AdapterFormat = {
  summary: "llama-server and brownian: a scale with each request",
  scaled: true,
  check: () => undefined,
  place: (name) => `${name}.gguf`,
  files(members, file) {
    const { header, offsets, size } = layoutOf(members, file);
    const { rank } = members;
    return [
      {
        path: this.place(file.name),
        bytes: size,
        *parts() {
          yield header;
          let at = header.length;
          let next = 0;
          for (const { a, b } of members.draw(file.member, file.sigma)) {
            for (const numbers of [a, rowsOf(b, rank)]) {
              yield* zeros((offsets[next++] as number) - at);
              yield bytesOf(numbers);
              at = (offsets[next - 1] as number) + numbers.byteLength;
            }
          }
          yield* zeros(size - at);
        },
      },
    ];
  },
};

function* zeros(count: number): Generator<Uint8Array> {
  if (count > 0) yield new Uint8Array(count);
}

/** Little-endian, as all processors are that Node runs on. */
const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength);
