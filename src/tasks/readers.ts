// The table of ways in which questions are written, one a line of JSON: our own, what lm-evaluation-harness logs (--log_samples) and the documents
// that it reads, and GSM8K's. Each knows its own by its fields, and says in words what is wrong with one.

import { MATCHES, matchOf, patternOf, type Question } from "./question.js";

type Document = Readonly<Record<string, unknown>>;

/** One way to write a question. */
export interface QuestionReader {
  readonly name: string;
  knows(document: Document): boolean;
  /** The question, or what is wrong with it. */
  read(document: Document): Question | string;
}

const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== "";
const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) && value.length > 0 && value.every(isText) ? (value as string[]) : undefined;

const own: QuestionReader = {
  name: "brownian",
  knows: (document) => "prompt" in document || "messages" in document,
  read({ prompt, messages, answer = "", aliases = [], choices, match, kind }) {
    if ((prompt === undefined) === (messages === undefined)) return "give prompt or messages, one of the two.";
    if (prompt !== undefined && !isText(prompt)) return "prompt must be a text.";
    if (messages !== undefined && !isChat(messages)) return "messages must be a list of { role, content }, and not empty.";
    const answers = answer === "" ? [] : isText(answer) ? [answer] : texts(answer);
    if (answers === undefined) return "answer must be a text, a list of texts, or a pattern as /source/flags.";
    if (!(Array.isArray(aliases) && aliases.every(isText))) return "aliases must be a list of texts.";
    const all = [...answers, ...(aliases as string[])];
    if (match !== undefined && !MATCHES.includes(match as never)) return `match must be one of ${MATCHES.join(", ")}.`;
    if (match === "pattern" && !(all.length === 1 && patternOf(all[0] as string)))
      return "with match pattern, answer must be one regular expression as /source/flags.";
    if (choices !== undefined && texts(choices) === undefined) return "choices must be a list of texts.";
    if (kind !== undefined && !isText(kind)) return "kind must be a text.";
    const question = {
      prompt: (prompt ?? messages) as Question["prompt"],
      answers: all,
      ...(choices === undefined ? {} : { choices: choices as string[] }),
      ...(kind === undefined ? {} : { kind: kind as string }),
    };
    return { ...question, match: (match as Question["match"]) ?? matchOf(question) };
  },
};

/** lm_eval --log_samples: requests as gen_args_0, gen_args_1, ..., each with its positional arguments. */
const harnessSamples: QuestionReader = {
  name: "lm_eval --log_samples",
  knows: (document) => "doc_id" in document && "arguments" in document && "target" in document,
  read({ arguments: given, target }) {
    const requests = Object.values((given ?? {}) as Document).map((each) =>
      Array.isArray(each) ? each : Object.values((each ?? {}) as Document),
    );
    const [first] = requests;
    const context = first?.[0];
    if (!isText(context)) return "its first request has no context (arguments.gen_args_0.arg_0).";
    if (requests.length > 1 || isText(first?.[1])) {
      const choices = requests.map((request) => request[1]);
      const gold = choices[Number(target)];
      if (texts(choices) === undefined || !isText(gold)) return "its requests are no choices, or its target is none of them.";
      return { prompt: context, answers: [gold], match: "exact", choices: choices as string[] };
    }
    if (!isText(target)) return "its target is no text.";
    return withAnswer(context, target);
  },
};

/** Documents that tasks of lm-evaluation-harness read: query or question, with choices and the number (or letter) of the right one. */
const harnessDocuments: QuestionReader = {
  name: "a multiple choice of lm-evaluation-harness",
  knows: (document) => ("query" in document || "question" in document) && "choices" in document,
  read(document) {
    const question = document.query ?? document.question;
    const nested = document.choices as Document | unknown[] | null;
    const choices = texts(Array.isArray(nested) ? nested : nested?.text);
    if (!isText(question) || choices === undefined) return "it has no query (or question), or its choices are no list of texts.";
    const gold = document.gold ?? document.label ?? document.answerKey ?? document.answer;
    const labels = Array.isArray(nested) ? undefined : texts(nested?.label);
    const number = typeof gold === "number" ? gold : (labels?.indexOf(String(gold)) ?? "ABCDEFGH".indexOf(String(gold)));
    const right = choices[Number(number)];
    if (right === undefined) return `its right choice (${JSON.stringify(gold)}) is none of the ${choices.length}.`;
    return {
      prompt: `Question: ${question}\nAnswer:`,
      answers: [right],
      match: "exact",
      choices: choices.map((one) => ` ${one}`),
    };
  },
};

/** GSM8K (Cobbe et al. 2021) and others of its kind: the answer is the number behind ####, or all of the answer. */
const worded: QuestionReader = {
  name: "GSM8K",
  knows: (document) => "question" in document && "answer" in document,
  read({ question, answer }) {
    if (!isText(question) || !(isText(answer) || texts(answer))) return "question and answer must be texts.";
    return withAnswer(`Question: ${question}\nAnswer:`, answer as string | string[]);
  },
};

function withAnswer(prompt: string, answer: string | string[]): Question {
  const [, number] = typeof answer === "string" ? (/####\s*(-?[\d.,]+)/.exec(answer) ?? []) : [];
  if (number !== undefined) return { prompt, answers: [number.replaceAll(",", "")], match: "number" };
  return { prompt, answers: typeof answer === "string" ? [answer.trim()] : answer, match: "contains" };
}

function isChat(value: unknown): boolean {
  const good = (one: unknown) => isText((one as Document | null)?.role) && typeof (one as Document).content === "string";
  return Array.isArray(value) && value.length > 0 && value.every(good);
}

/** The first that knows a line reads it. */
export const READERS: readonly QuestionReader[] = [own, harnessSamples, harnessDocuments, worded];
