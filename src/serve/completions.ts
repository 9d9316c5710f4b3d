// POST /v1/completions: a text (or tokens, or several texts) goes in, and how it goes on comes out.

import { randomUUID } from "node:crypto";
import { asksOf } from "./ask.js";
import { checkModel, type Desk, Job, jsonOf, type ServeContext } from "./desk.js";
import { ApiError } from "./errors.js";
import { CompletionBody, parsed } from "./fields.js";
import { finishOf, Teller, type ToldToken, toldOf } from "./told.js";
import type { Answer } from "./writer.js";

/** What OpenAI's protocol writes unless told otherwise. */
const MAX_TOKENS = 16;

export async function completions(c: ServeContext, desk: Desk): Promise<Response> {
  const body = parsed(CompletionBody, await jsonOf(c));
  checkModel(desk, body.model);
  const { prompt } = body;
  const prompts: readonly (string | readonly number[])[] =
    typeof prompt === "string"
      ? [prompt]
      : prompt.every((one) => typeof one === "number")
        ? [prompt as number[]]
        : (prompt as string[]);
  if (body.stream && prompts.length > 1)
    throw new ApiError(400, "Several prompts cannot be streamed at once: send them one by one.", { param: "prompt" });
  const { logprobs: _, ...common } = body;
  const asks = prompts.flatMap((one) =>
    asksOf(common, { prompt: one, maxTokens: body.max_tokens ?? MAX_TOKENS, logprobs: body.logprobs }, desk.defaults),
  );
  const job = await Job.begin(c, desk, asks);
  const head = {
    id: `cmpl-${randomUUID()}`,
    object: "text_completion",
    created: Math.floor(Date.now() / 1000),
    model: desk.writer.name,
  };
  const told = body.logprobs !== undefined || body.uncertainty === true;
  const listOf = (answer: Answer, i: number) =>
    told ? listed(toldOf(answer, job.tasks[i]?.tokens ?? [], desk.writer), 0) : null;
  const promptTokens = job.tasks
    .filter((_task, i) => i % (body.n ?? 1) === 0)
    .reduce((sum, { tokens }) => sum + tokens.length, 0);
  const usageOf = (answers: readonly Answer[]) => {
    const written = answers.reduce((sum, { tokens }) => sum + tokens, 0);
    return { prompt_tokens: promptTokens, completion_tokens: written, total_tokens: promptTokens + written };
  };
  if (!body.stream)
    return job.whole((answers) => ({
      ...head,
      choices: answers.map((answer, index) => ({
        index,
        text: answer.text,
        logprobs: listOf(answer, index),
        finish_reason: finishOf(answer),
      })),
      usage: usageOf(answers),
    }));
  return job.events(async (send) => {
    const piecewise = body.logprobs !== undefined && body.uncertainty !== true;
    const chunk = (index: number, text: string, finish: string | null, logprobs: object | null) =>
      send({ ...head, choices: [{ index, text, logprobs, finish_reason: finish }] });
    const answers = await job.write((i) => {
      const teller = new Teller(desk.writer, job.tasks[i]?.tokens ?? []);
      let letters = 0;
      return (piece, tokens) => {
        const list = piecewise
          ? listed(
              tokens.map((token) => teller.tell(token)),
              letters,
            )
          : null;
        letters += piece.length;
        if (piece !== "") chunk(i, piece, null, list);
      };
    });
    for (const [i, answer] of answers.entries()) chunk(i, "", finishOf(answer), piecewise ? null : listOf(answer, i));
    if (body.stream_options?.include_usage) send({ ...head, choices: [], usage: usageOf(answers) });
    send("[DONE]");
  });
}

/** The older shape: lists side by side. */
function listed(told: readonly ToldToken[], from: number): object {
  let letters = from;
  return {
    tokens: told.map(({ token }) => token),
    token_logprobs: told.map(({ logprob }) => logprob ?? null),
    top_logprobs: told.map(({ top_logprobs }) => Object.fromEntries(top_logprobs.map(({ token, logprob }) => [token, logprob]))),
    text_offset: told.map(({ token }) => {
      letters += token.length;
      return letters - token.length;
    }),
    ...(told.some(({ uncertainty }) => uncertainty !== undefined) && { uncertainty: told.map(({ uncertainty }) => uncertainty) }),
  };
}
