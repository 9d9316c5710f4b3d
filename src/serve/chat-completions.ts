// POST /v1/chat/completions: a chat goes in, and what the assistant says comes out, whole or as it is written.

import { randomUUID } from "node:crypto";
import { asksOf } from "./ask.js";
import { checkModel, type Desk, Job, jsonOf, type ServeContext, usageOf } from "./desk.js";
import { ApiError } from "./errors.js";
import { ChatBody, parsed } from "./fields.js";
import type { Send } from "./stream.js";
import { finishOf, Teller, toldOf } from "./told.js";
import { callsOf, toolsOf } from "./tools.js";
import type { Answer, Message } from "./writer.js";

export async function chatCompletions(c: ServeContext, desk: Desk): Promise<Response> {
  const body = parsed(ChatBody, await jsonOf(c));
  checkModel(desk, body.model);
  if (body.top_logprobs !== undefined && !body.logprobs)
    throw new ApiError(400, "top_logprobs needs logprobs: true.", { param: "top_logprobs" });
  const tools = toolsOf(body, desk.writer);
  const format = body.response_format;
  const asks = asksOf(
    body,
    {
      prompt: body.messages as readonly Message[],
      chat: { tools, variables: body.chat_template_kwargs },
      toolChoice: tools && body.tool_choice,
      maxTokens: body.max_completion_tokens ?? body.max_tokens,
      logprobs: body.logprobs ? (body.top_logprobs ?? 0) : undefined,
      format: format?.type === "json_schema" ? { type: "json_schema", schema: format.json_schema.schema } : format,
    },
    desk.defaults,
  );
  const job = await Job.begin(c, desk, asks);
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: desk.writer.name };
  const told = body.logprobs === true || body.uncertainty === true;
  const logprobsOf = (answer: Answer) =>
    told ? { content: toldOf(answer, job.tasks[0]?.tokens ?? [], desk.writer), refusal: null } : null;
  if (body.stream) return job.events((send) => stream(send, { body, job, desk, head, tools: tools !== undefined, logprobsOf }));
  return job.whole((answers) => ({
    ...head,
    object: "chat.completion",
    choices: answers.map((answer, index) => {
      const { text, calls } = tools === undefined ? { text: answer.text, calls: undefined } : calledIn(answer);
      return {
        index,
        message: {
          role: "assistant",
          content: calls === undefined ? text : text || null,
          refusal: null,
          ...(calls && { tool_calls: calls }),
        },
        logprobs: logprobsOf(answer),
        finish_reason: calls === undefined ? finishOf(answer) : "tool_calls",
      };
    }),
    usage: usageOf(job.promptTokens, answers),
  }));
}

/** What is said, and what is called: as the writer tells it, or as the text has it. */
const calledIn = ({ text, calls }: Answer) => (calls === undefined ? callsOf(text) : { text, calls });

interface Streamed {
  readonly body: ChatBody;
  readonly job: Job;
  readonly desk: Desk;
  readonly head: object;
  /** Calls are told when the text is whole: before, it may be any text. */
  readonly tools: boolean;
  readonly logprobsOf: (answer: Answer) => object | null;
}

async function stream(send: Send, { body, job, desk, head, tools, logprobsOf }: Streamed): Promise<void> {
  const usage = body.stream_options?.include_usage ? { usage: null } : {};
  const chunk = (index: number, delta: object, finish: string | null = null, logprobs: object | null = null) =>
    send({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index, delta, logprobs, finish_reason: finish }],
      ...usage,
    });
  for (const i of job.tasks.keys()) chunk(i, { role: "assistant", content: "" });
  // What an ensemble thinks is known at the end: log-probabilities then come with it.
  const piecewise = body.logprobs === true && body.uncertainty !== true;
  const answers = await job.write((i) => {
    const teller = new Teller(desk.writer, job.tasks[i]?.tokens ?? []);
    return (piece, tokens) => {
      const logprobs = piecewise ? { content: tokens.map((token) => teller.tell(token)), refusal: null } : null;
      if (!tools && piece !== "") chunk(i, { content: piece }, null, logprobs);
    };
  });
  for (const [i, answer] of answers.entries()) {
    const logprobs = piecewise ? null : logprobsOf(answer);
    if (!tools) {
      chunk(i, {}, finishOf(answer), logprobs);
      continue;
    }
    const { text, calls } = calledIn(answer);
    if (text !== "") chunk(i, { content: text });
    if (calls !== undefined) chunk(i, { tool_calls: calls.map((call, index) => ({ index, ...call })) });
    chunk(i, {}, calls === undefined ? finishOf(answer) : "tool_calls", logprobsOf(answer));
  }
  if (body.stream_options?.include_usage)
    send({ ...head, object: "chat.completion.chunk", choices: [], usage: usageOf(job.promptTokens, answers) });
  send("[DONE]");
}
