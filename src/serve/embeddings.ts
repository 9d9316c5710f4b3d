// POST /v1/embeddings: texts or tokens go in, and come out as vectors, read by weights that may have moved.

import { drawOf } from "./ask.js";
import { checkModel, type Desk, inPlace, jsonOf, type ServeContext } from "./desk.js";
import { ApiError } from "./errors.js";
import { EmbeddingBody, parsed } from "./fields.js";

export async function embeddings(c: ServeContext, desk: Desk): Promise<Response> {
  const body = parsed(EmbeddingBody, await jsonOf(c));
  checkModel(desk, body.model);
  const { weightTemperature, sigma, noiseSeed } = drawOf(body, desk.defaults);
  const ask = { texts: textsOf(body.input), options: { sigma, seed: noiseSeed }, weightTemperature };
  const read = await inPlace(c, desk, (signal) => desk.writer.embed(ask, signal));
  const numbers = read[0]?.vector.length ?? 0;
  if (body.dimensions !== undefined && body.dimensions !== numbers)
    throw new ApiError(400, `The vectors of this model have ${numbers} numbers, and cannot be cut: leave dimensions out.`, {
      param: "dimensions",
    });
  const prompt = read.reduce((sum, { tokens }) => sum + tokens, 0);
  desk.metrics.promptTokens += prompt;
  const told = (vector: Float32Array) => (body.encoding_format === "base64" ? base64(vector) : [...vector]);
  return Response.json({
    object: "list",
    data: read.map(({ vector }, index) => ({ object: "embedding", index, embedding: told(vector) })),
    model: desk.writer.name,
    usage: { prompt_tokens: prompt, total_tokens: prompt },
  });
}

function textsOf(input: EmbeddingBody["input"]): readonly (string | readonly number[])[] {
  if (typeof input === "string") return [input];
  return typeof input[0] === "number" ? [input as number[]] : (input as string[] | number[][]);
}

/** Floats of four bytes, the least significant first. */
function base64(vector: Float32Array): string {
  const bytes = new DataView(new ArrayBuffer(vector.length * Float32Array.BYTES_PER_ELEMENT));
  for (const [i, value] of vector.entries()) bytes.setFloat32(i * Float32Array.BYTES_PER_ELEMENT, value, true);
  return Buffer.from(bytes.buffer).toString("base64");
}
