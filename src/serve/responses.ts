// POST /v1/responses, which newer clients speak: text in, text out, whole or as events. Nothing is kept between two requests.

import { randomUUID } from "node:crypto";
import { asksOf } from "./ask.js";
import { checkModel, type Desk, Job, jsonOf, type ServeContext } from "./desk.js";
import { asApiError } from "./errors.js";
import { parsed, ResponseBody } from "./fields.js";
import { finishOf, toldOf } from "./told.js";
import type { Answer, Message } from "./writer.js";

export async function responses(c: ServeContext, desk: Desk): Promise<Response> {
  const body = parsed(ResponseBody, await jsonOf(c));
  checkModel(desk, body.model);
  const format = body.text?.format;
  const { text: _, tools: _tools, ...common } = body;
  const asks = asksOf(
    common,
    {
      prompt: messagesOf(body),
      maxTokens: body.max_output_tokens,
      logprobs: body.top_logprobs,
      format: format?.type === "json_schema" ? { type: "json_schema", schema: format.schema } : format,
    },
    desk.defaults,
  );
  const job = await Job.begin(c, desk, asks);
  const item = `msg_${randomUUID()}`;
  const head = {
    id: `resp_${randomUUID()}`,
    object: "response",
    created_at: Math.floor(Date.now() / 1000),
    model: desk.writer.name,
    error: null,
    instructions: body.instructions ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: false,
    temperature: asks[0]?.options.temperature ?? null,
    top_p: body.top_p ?? 1,
    tool_choice: "auto",
    tools: [],
  };
  const partOf = (answer: Answer) => ({
    type: "output_text",
    text: answer.text,
    annotations: [],
    logprobs: body.top_logprobs === undefined && !body.uncertainty ? [] : toldOf(answer, job.tasks[0]?.tokens ?? [], desk.writer),
  });
  const messageOf = (answer: Answer) => ({
    id: item,
    type: "message",
    role: "assistant",
    status: finishOf(answer) === "stop" ? "completed" : "incomplete",
    content: [partOf(answer)],
  });
  const ended = (answer: Answer) => {
    const whole = finishOf(answer) === "stop";
    return {
      ...head,
      status: whole ? "completed" : "incomplete",
      incomplete_details: whole ? null : { reason: "max_output_tokens" },
      output: [messageOf(answer)],
      usage: {
        input_tokens: answer.promptTokens ?? job.promptTokens,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: answer.tokens,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: (answer.promptTokens ?? job.promptTokens) + answer.tokens,
      },
    };
  };
  if (!body.stream) return job.whole(([answer]) => ended(answer as Answer));
  return job.events(async (send) => {
    let number = 0;
    const event = (type: string, more: object) => send({ type, sequence_number: number++, ...more }, type);
    const begun = { ...head, status: "in_progress", incomplete_details: null, output: [], usage: null };
    const at = { item_id: item, output_index: 0, content_index: 0 };
    event("response.created", { response: begun });
    event("response.in_progress", { response: begun });
    const empty = { id: item, type: "message", role: "assistant", status: "in_progress", content: [] };
    event("response.output_item.added", { output_index: 0, item: empty });
    event("response.content_part.added", { ...at, part: { type: "output_text", text: "", annotations: [], logprobs: [] } });
    try {
      const [answer] = await job.write(() => (piece) => {
        if (piece !== "") event("response.output_text.delta", { ...at, delta: piece, logprobs: [] });
      });
      if (answer === undefined) return;
      event("response.output_text.done", { ...at, text: answer.text, logprobs: [] });
      event("response.content_part.done", { ...at, part: partOf(answer) });
      event("response.output_item.done", { output_index: 0, item: messageOf(answer) });
      event(finishOf(answer) === "stop" ? "response.completed" : "response.incomplete", { response: ended(answer) });
    } catch (error) {
      const { message, code } = asApiError(error).body.error;
      event("response.failed", { response: { ...begun, status: "failed", error: { code: code ?? "server_error", message } } });
    }
  });
}

function messagesOf({ input, instructions }: ResponseBody): Message[] {
  const before: Message[] = instructions === undefined ? [] : [{ role: "system", content: instructions }];
  const messages = typeof input === "string" ? [{ role: "user", content: input } as const] : input;
  return [...before, ...messages.map(({ role, content }): Message => ({ role, content }))];
}
