// The bodies of requests: every field of them, checked. What this server does not know is an error that names what was most likely meant, since a
// field that is silently dropped is a text of another kind than the one that was asked for.

import * as z from "zod";
import { nearest } from "../options.js";
import { ApiError } from "./errors.js";

/** Texts of one request that are turned into vectors, as in OpenAI's protocol. */
const MOST_INPUTS = 2048;

const text = z.string();
const number = z.number();
const whole = z.int();

/** The dice at the output, with the names of OpenAI's protocol and of llama-server; each is the library's option in camel case. */
const dice = {
  temperature: number.optional(),
  top_k: whole.optional(),
  top_p: number.optional(),
  min_p: number.optional(),
  typical_p: number.optional(),
  top_n_sigma: number.optional(),
  repeat_penalty: number.optional(),
  repeat_last_n: whole.optional(),
  frequency_penalty: number.optional(),
  presence_penalty: number.optional(),
  dry_multiplier: number.optional(),
  dry_base: number.optional(),
  dry_allowed_length: whole.optional(),
  dry_penalty_last_n: whole.optional(),
  dry_sequence_breakers: z.array(text).max(64).optional(),
  xtc_probability: number.optional(),
  xtc_threshold: number.optional(),
  dynatemp_range: number.optional(),
  dynatemp_exponent: number.optional(),
  mirostat: whole.optional(),
  mirostat_tau: number.optional(),
  mirostat_eta: number.optional(),
  grammar: text.max(100_000).optional(),
  stop: z.union([text, z.array(text).max(32)]).optional(),
};

/** Weights that move. */
const weights = {
  sigma: number.optional(),
  weight_temperature: number.optional(),
  dynamics: text.optional(),
  tau: number.optional(),
  noise_seed: whole.optional(),
  uncertainty: z.boolean().optional(),
  members: z.int().min(1).max(256).optional(),
};

/** What says nothing of the text: taken, and dropped. */
const aside = {
  user: text.optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  store: z.boolean().optional(),
  service_tier: text.optional(),
  safety_identifier: text.optional(),
  prompt_cache_key: text.optional(),
};

const common = {
  model: text.optional(),
  ...dice,
  ...weights,
  ...aside,
  logit_bias: z.record(z.string().regex(/^\d+$/, "a key must be a token's number"), number).optional(),
  seed: whole.optional(),
  stream: z.boolean().optional(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() })
    .optional(),
  n: z.int().min(1).max(64).optional(),
  max_tokens: z.int().min(1).optional(),
};

const part = z.object({
  type: z.enum(["text", "input_text", "output_text", "refusal"]),
  text: text.optional(),
  refusal: text.optional(),
});
/** A text, or a list of parts that are texts. */
const content = z
  .union([text, z.array(part), z.null()])
  .optional()
  .transform((value) => (typeof value === "string" ? value : (value ?? []).map((one) => one.text ?? one.refusal ?? "").join("")));

const orNull = <T extends z.ZodType>(schema: T) => schema.nullish().transform((value) => value ?? undefined);

const call = z.object({
  id: text.optional(),
  type: z.literal("function").optional(),
  function: z.object({ name: text, arguments: text }),
});

const message = z.object({
  role: z.enum(["system", "developer", "user", "assistant", "tool"]),
  content,
  name: orNull(text),
  tool_calls: orNull(z.array(call)),
  tool_call_id: orNull(text),
});

const schema = z.union([z.record(z.string(), z.unknown()), z.boolean()]);

const tool = z.object({
  type: z.literal("function"),
  function: z.looseObject({ name: text, description: text.optional(), parameters: schema.optional() }),
});

const named = { name: text.optional(), description: text.optional(), strict: z.boolean().nullish(), schema: schema.optional() };

export const ChatBody = z.strictObject({
  ...common,
  messages: z.array(message).min(1),
  max_completion_tokens: z.int().min(1).optional(),
  logprobs: z.boolean().optional(),
  top_logprobs: z.int().min(0).max(20).optional(),
  response_format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object") }),
      z.object({ type: z.literal("json_schema"), json_schema: z.object(named) }),
    ])
    .optional(),
  tools: z.array(tool).optional(),
  tool_choice: z.unknown().optional(),
  parallel_tool_calls: z.boolean().optional(),
  chat_template_kwargs: z.record(z.string(), z.union([text, number, z.boolean()])).optional(),
});

export const CompletionBody = z.strictObject({
  ...common,
  prompt: z.union([text, z.array(text).min(1).max(64), z.array(whole).min(1)]),
  logprobs: z.int().min(0).max(20).optional(),
  echo: z.literal(false).optional(),
  best_of: z.literal(1).optional(),
});

const { n: _n, max_tokens: _m, stop: _stop, ...alone } = common;

export const ResponseBody = z.strictObject({
  ...alone,
  input: z.union([
    text,
    z
      .array(
        z.object({
          type: z.literal("message").optional(),
          role: message.shape.role,
          content,
          id: text.optional(),
          status: text.optional(),
        }),
      )
      .min(1),
  ]),
  instructions: text.optional(),
  max_output_tokens: z.int().min(1).optional(),
  text: z
    .object({
      format: z
        .discriminatedUnion("type", [
          z.object({ type: z.literal("text") }),
          z.object({ type: z.literal("json_object") }),
          z.object({ type: z.literal("json_schema"), ...named }),
        ])
        .optional(),
    })
    .optional(),
  tools: z.array(z.unknown()).max(0, "tools are carried by /v1/chat/completions only: leave them out here").optional(),
  tool_choice: z.unknown().optional(),
  parallel_tool_calls: z.boolean().optional(),
  include: z.array(text).max(0, "nothing more can be included: leave it out").optional(),
  truncation: z.literal("disabled").optional(),
  top_logprobs: z.int().min(0).max(20).optional(),
});

export const EmbeddingBody = z.strictObject({
  model: text.optional(),
  input: z.union([
    text.min(1, "it must not be empty"),
    z.array(text.min(1, "a text must not be empty")).min(1).max(MOST_INPUTS),
    z.array(whole).min(1),
    z.array(z.array(whole).min(1)).min(1).max(MOST_INPUTS),
  ]),
  encoding_format: z.enum(["float", "base64"]).optional(),
  dimensions: whole.optional(),
  sigma: weights.sigma,
  weight_temperature: weights.weight_temperature,
  noise_seed: weights.noise_seed,
  seed: whole.optional(),
  user: aside.user,
});

export type ChatBody = z.infer<typeof ChatBody>;
export type CompletionBody = z.infer<typeof CompletionBody>;
export type ResponseBody = z.infer<typeof ResponseBody>;
export type EmbeddingBody = z.infer<typeof EmbeddingBody>;
/** What the three that write have. */
export type CommonBody = Partial<Omit<ChatBody, "messages">>;

/** The dice's fields, as the library calls them. */
export const DICE = Object.keys(dice).map(
  (field) => [field, field.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())] as const,
);

/**
 * The body of a request, checked. Fields that are null are as good as left out.
 * @throws ApiError 400
 */
export function parsed<T>(schema: z.ZodType<T> & { readonly shape: object }, body: unknown): T {
  if (typeof body !== "object" || body === null || Array.isArray(body))
    throw new ApiError(400, "The body must be a JSON object.", { code: "invalid_body" });
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  // A field that is missing and one that nobody knows are one fault, a misspelled name: that is told first.
  const { issues } = result.error;
  const issue = issues.find(({ code, path }) => code === "unrecognized_keys" && path.length === 0) ?? issues[0];
  const path = issue?.path.map(String).join(".") ?? "";
  if (issue?.code === "unrecognized_keys") {
    const key = issue.keys[0] as string;
    const where = path === "" ? "" : ` of ${path}`;
    const meant = path === "" ? `: the nearest known one is ${JSON.stringify(nearest(key, Object.keys(schema.shape)))}` : "";
    throw new ApiError(
      400,
      `Unknown field ${JSON.stringify(key.slice(0, 100))}${where}${meant}. Nothing is dropped silently: rename it or leave it out.`,
      {
        param: key.slice(0, 100),
        code: "unknown_field",
      },
    );
  }
  throw new ApiError(400, `${path === "" ? "The body" : path}: ${deepest(issue)}.`, {
    param: path === "" ? undefined : path,
    code: "invalid_value",
  });
}

/** Of a union the message of the choice that came furthest: the others are about other types. */
function deepest(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code !== "invalid_union") return issue?.message ?? "it cannot be read";
  const inner = issue.errors.flat().sort((a, b) => b.path.length - a.path.length)[0];
  return inner === undefined
    ? issue.message
    : `${inner.path.length > 0 ? `${inner.path.map(String).join(".")}: ` : ""}${deepest(inner)}`;
}
