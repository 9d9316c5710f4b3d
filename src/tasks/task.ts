// A task: questions with answers that are right, each in one of two halves. In evaluations, dials and all else that is tuned see the tuning half alone.

import { createHash } from "node:crypto";
import { BrownianError, checkList, checkObject, checkText } from "../errors.js";
import { withoutMark } from "../files/text.js";
import { checkQuestion, type Question } from "./question.js";
import { READERS } from "./readers.js";

/** Questions, and what they are of. */
export interface Task {
  /** Of the file, or of the maker. */
  readonly name: string;
  /** SHA-256 of the text that it was read from. */
  readonly sha256: string;
  /** Of both halves. */
  readonly questions: readonly Question[];
}

/** A task whose questions have answers, if it is one. @throws BrownianError usage */
export function checkTask(task: Task): Task {
  const { name, questions } = checkObject("A task", task);
  checkText("The name of a task", name);
  for (const [i, question] of Array.from(checkList("The questions of a task", questions)).entries())
    if (checkQuestion(question).answers.length === 0)
      throw new BrownianError(
        "usage",
        `Question ${i + 1} of ${name} has no answer, by which a model's would be judged: give it one.`,
      );
  return task;
}

/** The two halves of a task. */
export type Half = "tuning" | "test";

/**
 * The half that a question is in: the lowest bit of the SHA-256 of what is asked, so that it stays there whatever questions are
 * beside it.
 *
 * @example
 * halfOf({ prompt: "2 + 2 =", answers: ["4"], match: "number" }); // "test"
 */
export function halfOf(question: Question): Half {
  const { prompt } = checkQuestion(question);
  const asked = typeof prompt === "string" ? prompt : JSON.stringify(prompt.map(({ role, content }) => [role, content]));
  return ((createHash("sha256").update(asked).digest()[0] as number) & 1) === 0 ? "tuning" : "test";
}

/**
 * Reads a task from JSON lines: `{ prompt | messages, answer, choices? }`, what lm-evaluation-harness logs and reads, or lines as GSM8K has them
 * (src/tasks/readers.ts). An answer may be missing where something else judges, such as a reward of the user's own.
 * @throws BrownianError usage, naming the line
 *
 * @example
 * const task = parseTask('{"prompt": "2 + 2 =", "answer": "4"}', "sums");
 */
export function parseTask(text: string, name: string): Task {
  checkText("name", name);
  const questions: Question[] = [];
  for (const [i, line] of withoutMark(checkText("text", text)).split("\n").entries()) {
    if (line.trim() === "") continue;
    const refuse = (why: string) => new BrownianError("usage", `${name}, line ${i + 1}: ${why}`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      throw refuse(`it is no JSON (${(error as Error).message}). A task has one document a line.`);
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse("it is no JSON object.");
    const document = value as Record<string, unknown>;
    const reader = READERS.find((one) => one.knows(document));
    if (reader === undefined)
      throw refuse(
        `it is no question: give prompt (or messages) and answer, or what ${READERS.slice(1)
          .map((one) => one.name)
          .join(" or ")} writes.`,
      );
    const read = reader.read(document);
    if (typeof read === "string") throw refuse(read);
    questions.push(read);
  }
  if (questions.length === 0) throw new BrownianError("usage", `${name} has no question: a task has one JSON document a line.`);
  return { name, sha256: createHash("sha256").update(text).digest("hex"), questions };
}
