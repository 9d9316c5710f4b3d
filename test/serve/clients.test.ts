// What official clients get of the server: openai, and the ai SDK with @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import { CHAT, MODEL, NAME, type Started, started, why } from "./support.js";

const messages = [{ role: "user", content: "Tell me of a king." }] as const;
let here: Started;
let openai: OpenAI;
beforeAll(async () => {
  if (why !== undefined) return;
  here = await started({ apiKey: "sesame" });
  openai = new OpenAI({ baseURL: `${here.url}/v1`, apiKey: "sesame", maxRetries: 0 });
});

const greedy = { model: NAME, messages: [...messages], temperature: 0, max_tokens: 24 };

describe.skipIf(why !== undefined)("openai", () => {
  it("chats: the text is the library's, and usage counts its tokens", async () => {
    const alone = await here.model.complete([...messages], { maxTokens: 24 });
    const { choices, usage, model } = await openai.chat.completions.create(greedy);
    expect(choices[0]?.message).toMatchObject({ role: "assistant", content: alone.text });
    expect(choices[0]?.finish_reason).toBe(alone.stop === "length" ? "length" : "stop");
    const read = here.model.tokens([...messages]).length;
    expect(usage).toEqual({ prompt_tokens: read, completion_tokens: alone.tokens, total_tokens: read + alone.tokens });
    expect(model).toBe(NAME);
  });

  it("streams: the pieces are the text, usage comes last", async () => {
    const whole = await openai.chat.completions.create(greedy);
    const stream = await openai.chat.completions.create({ ...greedy, stream: true, stream_options: { include_usage: true } });
    let text = "";
    let chunks = 0;
    let finish: string | null | undefined;
    let usage: unknown;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
      chunks++;
    }
    expect(chunks).toBeGreaterThan(10);
    expect(text).toBe(whole.choices[0]?.message.content);
    expect(finish).toBe(whole.choices[0]?.finish_reason);
    expect(usage).toEqual(whole.usage);
  });

  it("n are as many draws: of the dice, and of weights that move; a seed gives them again", async () => {
    const texts = async (more: object) =>
      (await openai.chat.completions.create({ ...greedy, n: 3, seed: 5, ...more })).choices.map(({ message }) => message.content);
    const rolled = await texts({ temperature: 1 });
    expect(new Set(rolled).size).toBe(3);
    expect(await texts({ temperature: 1 })).toEqual(rolled);
    const moved = await texts({ sigma: 0.2 });
    expect(new Set(moved).size).toBe(3);
    const alone = await here.model.complete([...messages], { sigma: 0.2, seed: 6n, maxTokens: 24 });
    expect(moved[1]).toBe(alone.text);
    // Draws of the weights by a seed of their own.
    expect(await texts({ sigma: 0.2, noise_seed: 5, seed: 77 })).toEqual(moved);
    expect(await texts({ sigma: 0.2, noise_seed: 6 })).not.toEqual(moved);
  });

  it("moves weights while it writes, and by the temperature that they are as surprising as", async () => {
    const { choices } = await openai.chat.completions.create({
      ...greedy,
      sigma: 0.2,
      dynamics: "andersen",
      tau: 8,
      seed: 3,
    } as never);
    const alone = await here.model.complete([...messages], { sigma: 0.2, dynamics: "andersen", tau: 8, seed: 3n, maxTokens: 24 });
    expect(choices[0]?.message.content).toBe(alone.text);
    const asSurprising = await openai.chat.completions.create({ ...greedy, weight_temperature: 2, seed: 3 } as never);
    const same = await here.model.complete([...messages], { sigma: 0.2, seed: 3n, maxTokens: 24 });
    expect(asSurprising.choices[0]?.message.content).toBe(same.text);
  });

  it("stops before a stop string", async () => {
    const { choices } = await openai.chat.completions.create(greedy);
    const text = choices[0]?.message.content as string;
    const stop = text.slice(12, 16);
    const stopped = await openai.chat.completions.create({ ...greedy, stop: [stop], logprobs: true });
    expect(stopped.choices[0]?.message.content).toBe(text.slice(0, text.indexOf(stop)));
    expect(stopped.choices[0]?.finish_reason).toBe("stop");
    const told = stopped.choices[0]?.logprobs?.content ?? [];
    expect(told.length).toBeGreaterThan(0);
    expect(told.length).toBeLessThan(24);
  });

  it("tells log-probabilities with alternatives, whole and streamed alike", async () => {
    const asked = { ...greedy, logprobs: true, top_logprobs: 3 };
    const { choices } = await openai.chat.completions.create(asked);
    const content = choices[0]?.logprobs?.content ?? [];
    expect(content.map(({ token }) => token).join("")).toBe(choices[0]?.message.content);
    const { ids } = await here.model.complete([...messages], { maxTokens: 24 });
    const followed = await here.model.follow([...messages], ids);
    for (const [i, { logprob, top_logprobs }] of content.entries()) {
      expect(logprob).toBeCloseTo(followed[i]?.logProbability as number, 3);
      expect(top_logprobs).toHaveLength(3);
      // Greedy: the token is the likeliest, and alternatives come in order.
      expect(top_logprobs[0]?.logprob).toBe(logprob);
      expect(top_logprobs[1]?.logprob).toBeLessThanOrEqual(logprob);
      expect(top_logprobs[2]?.logprob).toBeLessThanOrEqual(top_logprobs[1]?.logprob as number);
    }
    const streamed: unknown[] = [];
    for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true }))
      streamed.push(...(chunk.choices[0]?.logprobs?.content ?? []));
    expect(streamed).toEqual(content);
  });

  it("tells what moved weights disagree about", async () => {
    const { choices } = await openai.chat.completions.create({
      ...greedy,
      max_tokens: 8,
      uncertainty: true,
      members: 3,
      seed: 1,
    } as never);
    const { ids } = await here.model.complete([...messages], { maxTokens: 8 });
    const { tokens } = await here.model.uncertainty([...messages], { text: ids, members: 3, sigma: 0.05, seed: 1n });
    const told = (choices[0]?.logprobs?.content ?? []) as { uncertainty?: object }[];
    expect(told.map(({ uncertainty }) => uncertainty)).toEqual(
      tokens.map(({ probability, total, information }) => ({ probability, total, information })),
    );
  });

  it("answers in JSON: any object, and one of a schema", async () => {
    const schema = {
      type: "object",
      properties: { name: { type: "string", maxLength: 12 }, age: { enum: [7, 70] }, alive: { type: "boolean" } },
      required: ["name", "age", "alive"],
      additionalProperties: false,
    };
    const format = { type: "json_schema", json_schema: { name: "king", schema, strict: true } } as const;
    const { choices } = await openai.chat.completions.create({ ...greedy, max_tokens: 120, response_format: format });
    const king = JSON.parse(choices[0]?.message.content ?? "") as Record<string, unknown>;
    expect(Object.keys(king)).toEqual(["name", "age", "alive"]);
    expect([7, 70]).toContain(king.age);
    expect(typeof king.alive).toBe("boolean");
    const any = await openai.chat.completions.create({ ...greedy, max_tokens: 8, response_format: { type: "json_object" } });
    expect(any.choices[0]?.message.content).toMatch(/^\{/);
    const refused = { type: "json_schema", json_schema: { name: "x", schema: { type: "string", pattern: "a+" } } } as const;
    await expect(openai.chat.completions.create({ ...greedy, response_format: refused })).rejects.toThrow(
      /pattern .* leave it out/,
    );
  });

  it("continues texts and tokens", async () => {
    const alone = await here.model.complete("Once upon a time", { maxTokens: 12 });
    const asked = { model: NAME, temperature: 0, max_tokens: 12 };
    const prompts = ["Once upon a time", "The king"];
    const { choices, usage } = await openai.completions.create({ ...asked, prompt: prompts, logprobs: 2 });
    expect(choices.map(({ index }) => index)).toEqual([0, 1]);
    expect(choices[0]?.text).toBe(alone.text);
    expect(choices[0]?.logprobs?.tokens).toHaveLength(12);
    expect(usage?.prompt_tokens).toBe(prompts.reduce((sum, one) => sum + here.model.tokens(one).length, 0));
    const tokens = [...here.model.tokens("Once upon a time")];
    expect((await openai.completions.create({ ...asked, prompt: tokens })).choices[0]?.text).toBe(alone.text);
    let text = "";
    for await (const chunk of await openai.completions.create({ ...asked, prompt: "Once upon a time", stream: true }))
      text += chunk.choices[0]?.text ?? "";
    expect(text).toBe(alone.text);
  });

  it("turns texts and tokens into vectors, as floats and as base64", async () => {
    const input = ["A king lived in a castle.", "A king lived in a palace.", "3 + 4 = 7"];
    const alone = await here.model.embed(input);
    const asked = { model: NAME, input } as const;
    const { data, usage } = await openai.embeddings.create({ ...asked, encoding_format: "float" });
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(alone.map(({ vector }) => vector));
    const read = input.reduce((sum, text) => sum + here.model.tokens(text).length, 0);
    expect(usage).toEqual({ prompt_tokens: read, total_tokens: read });
    // The client asks for base64 by itself, and decodes it.
    const packed = await openai.embeddings.create(asked);
    expect(packed.data.map(({ embedding }) => embedding)).toEqual(data.map(({ embedding }) => embedding));
    const raw = await openai.embeddings.create({ ...asked, encoding_format: "base64" });
    const bytes = Buffer.from(raw.data[0]?.embedding as unknown as string, "base64");
    expect(bytes.readFloatLE(4)).toBe(alone[0]?.vector[1]);
    const tokens = input.map((text) => [...here.model.tokens(text)]);
    expect((await openai.embeddings.create({ ...asked, input: tokens })).data).toEqual(data);
    expect((await openai.embeddings.create({ ...asked, input: tokens[2] as number[] })).data[0]?.embedding).toEqual(
      data[2]?.embedding,
    );
  });

  it("lets moved weights make vectors, and refuses what it has not", async () => {
    const vectorOf = async (more: object) =>
      (await openai.embeddings.create({ model: NAME, input: "The king", ...more })).data[0]?.embedding as number[];
    const moved = await vectorOf({ sigma: 0.1, seed: 3 });
    expect(moved).not.toEqual(await vectorOf({}));
    expect(moved).toEqual(await vectorOf({ weight_temperature: 1, noise_seed: 3 }));
    const [alone] = await here.model.embed(["The king"], { sigma: 0.1, seed: 3n });
    expect(Float32Array.from(moved)).toEqual(alone?.vector);
    await expect(vectorOf({ dimensions: 3 })).rejects.toThrow(/have 256 numbers.*leave dimensions out/);
    await expect(vectorOf({ input: "" })).rejects.toThrow(/input: .*empty/);
    await expect(vectorOf({ input: [] })).rejects.toThrow(/400 input/);
    await expect(vectorOf({ input: [1e9] })).rejects.toThrow(/400 A token of the prompt/);
    await expect(vectorOf({ sigmas: 1 })).rejects.toThrow(/nearest known one is "sigma"/);
    await expect(vectorOf({ input: undefined, inpt: "x" })).rejects.toThrow(/"inpt": the nearest known one is "input"/);
  });

  it("speaks the protocol of responses, whole and as events", async () => {
    const alone = await here.model.complete([{ role: "system", content: "Be brief." }, ...messages], { maxTokens: 16 });
    const asked = { model: NAME, instructions: "Be brief.", input: messages[0].content, temperature: 0, max_output_tokens: 16 };
    const response = await openai.responses.create(asked);
    expect(response.output_text).toBe(alone.text);
    expect(response.usage?.output_tokens).toBe(alone.tokens);
    const types: string[] = [];
    let text = "";
    for await (const event of await openai.responses.create({ ...asked, input: [...CHAT] as never, stream: true })) {
      types.push(event.type);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    expect(text).toBe(alone.text);
    expect(types.slice(0, 4)).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
    ]);
    expect(types.at(-1)).toMatch(/^response\.(completed|incomplete)$/);
  });

  it("lists the model", async () => {
    expect((await openai.models.list()).data.map(({ id }) => id)).toEqual([NAME]);
    expect((await openai.models.retrieve(NAME)).id).toBe(NAME);
    await expect(openai.models.retrieve("gpt-9")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });

  it("refuses in its own classes of errors, by name", async () => {
    const wrong = new OpenAI({ baseURL: `${here.url}/v1`, apiKey: "sesam", maxRetries: 0 });
    await expect(wrong.models.list()).rejects.toThrow(OpenAI.AuthenticationError);
    await expect(openai.chat.completions.create({ ...greedy, tempreature: 1 } as never)).rejects.toThrow(
      /tempreature.*"temperature"/,
    );
    await expect(openai.chat.completions.create({ ...greedy, dynamics: "andersson" } as never)).rejects.toThrow(/andersen/);
    await expect(openai.chat.completions.create({ ...greedy, model: "x" })).rejects.toThrow(OpenAI.NotFoundError);
    await expect(
      openai.chat.completions.create({ ...greedy, messages: [{ role: "user", content: "word ".repeat(600) }] }),
    ).rejects.toThrow(/the context holds 256/);
    await expect(openai.moderations.create({ input: "x" })).rejects.toThrow(
      /no POST \/v1\/moderations, but .*POST \/v1\/completions/,
    );
  });

  it("ends when the client breaks off, and its place is free", async () => {
    const away = new AbortController();
    const stream = await openai.chat.completions.create({ ...greedy, max_tokens: 200, stream: true }, { signal: away.signal });
    for await (const _ of stream) {
      away.abort();
      break;
    }
    const busy = async () => ((await (await fetch(`${here.url}/health`)).json()) as { running: number }).running;
    while ((await busy()) > 0);
    expect((await openai.chat.completions.create(greedy)).choices[0]?.message.content).not.toBe("");
  });
});

describe.skipIf(why !== undefined)("the ai SDK", () => {
  const provider = () =>
    createOpenAICompatible({ name: "brownian", baseURL: `${here.url}/v1`, apiKey: "sesame", includeUsage: true });
  const asked = () => ({ model: provider()(NAME), prompt: messages[0].content, temperature: 0, maxOutputTokens: 24 });

  it("writes and streams the library's text, with fields of ours by providerOptions", async () => {
    const alone = await here.model.complete([...messages], { maxTokens: 24 });
    const { text, usage } = await generateText(asked());
    expect(text).toBe(alone.text);
    expect(usage.outputTokens).toBe(alone.tokens);
    let streamed = "";
    for await (const piece of streamText(asked()).textStream) streamed += piece;
    expect(streamed).toBe(alone.text);
    const moved = await generateText({ ...asked(), seed: 4, providerOptions: { brownian: { sigma: 0.2 } } });
    expect(moved.text).toBe((await here.model.complete([...messages], { sigma: 0.2, seed: 4n, maxTokens: 24 })).text);
  });
});

it.skipIf(why !== undefined)("the model's file is the one that ships", () => expect(here.model.path).toBe(MODEL));
