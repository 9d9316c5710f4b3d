// Functions that a model may call, as far as its chat template carries them: it writes calls as text, in one of the ways that models are taught.

import { randomUUID } from "node:crypto";
import { ApiError } from "./errors.js";
import type { ChatBody } from "./fields.js";
import type { Call, Writer } from "./writer.js";

/** The tools that the template is told of; undefined where there are none. @throws ApiError 400 for what no template can promise */
export function toolsOf({ tools = [], tool_choice }: ChatBody, writer: Writer): readonly object[] | undefined {
  if (writer.knowsTools !== "forced" && tool_choice !== undefined && tool_choice !== "auto" && tool_choice !== "none")
    throw new ApiError(
      400,
      'A chat template cannot force a call: tool_choice must be "auto" or "none". For an answer of one shape take response_format.',
      {
        param: "tool_choice",
      },
    );
  if (tools.length === 0 || tool_choice === "none") return undefined;
  if (!writer.knowsTools)
    throw new ApiError(
      400,
      `The chat template of ${writer.name} has no place for tools: leave them out, or serve a model that was taught tools.`,
      {
        param: "tools",
        code: "tools_unsupported",
      },
    );
  return tools;
}

/** <tool_call>{...}</tool_call>, as Hermes and Qwen write it, also where the end is missing. */
const TAGGED = /<tool_call>\s*([\s\S]*?)\s*(?:<\/tool_call>|$)/g;

/** What of a text is said, and what is called: tagged calls, or a text that is nothing but a call (as Llama 3 writes it). */
export function callsOf(text: string): { readonly text: string; readonly calls: Call[] | undefined } {
  const calls: Call[] = [];
  const rest = text.replace(TAGGED, (whole, inner: string) => {
    const call = callOf(inner);
    if (call === undefined) return whole;
    calls.push(call);
    return "";
  });
  if (calls.length > 0) return { text: rest.trim(), calls };
  const call = callOf(text.trim());
  return call === undefined ? { text, calls: undefined } : { text: "", calls: [call] };
}

function callOf(text: string): Call | undefined {
  try {
    const { name, arguments: given, parameters } = JSON.parse(text) as Record<string, unknown>;
    const values = given ?? parameters;
    if (typeof name !== "string" || typeof values !== "object" || values === null) return undefined;
    return { id: `call_${randomUUID()}`, type: "function", function: { name, arguments: JSON.stringify(values) } };
  } catch {
    return undefined;
  }
}
