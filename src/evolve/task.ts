// Tasks: questions with an answer each, one JSON object a line. Which of them a search learns from, which it is judged by, and which a generation asks.

import { BrownianError, checkList, checkNumber, checkObject, checkText, shown } from "../errors.js";
import { withoutMark } from "../files/text.js";
import { isChat } from "../llama/chat.js";
import type { Message, Prompt } from "../llama/index.js";
import { Noise } from "../noise/index.js";

/** A question of a task. */
export interface Question {
  /** What the model goes on from: text or a chat. */
  readonly prompt: string | readonly Message[];
  /** What it is to answer; with the reward "regex", the expression that its answer is to match. "" where the reward needs none. */
  readonly answer: string;
}

/** Questions, if they are some. @throws BrownianError usage */
export function checkQuestions(questions: readonly Question[]): readonly Question[] {
  for (const question of Array.from(checkList("A task", questions))) {
    const { prompt, answer } = checkObject("A question", question);
    isChat(prompt); // refuses what is no prompt
    checkText("An answer", answer);
  }
  return questions;
}

/** A task in two parts that have no question in common. */
export interface Split {
  readonly train: readonly Question[];
  /** May be empty. */
  readonly validation: readonly Question[];
}

/**
 * The questions in a text of JSON lines: { "prompt": "..." } or { "messages": [{ "role", "content" }, ...] }, and "answer".
 * @param name what messages call it
 * @throws BrownianError usage, with the line
 */
export function parseTask(text: string, name: string): Question[] {
  checkText("name", name);
  const questions: Question[] = [];
  for (const [i, line] of withoutMark(checkText("text", text)).split("\n").entries()) {
    if (line.trim() === "") continue;
    const refuse = (why: string) => new BrownianError("usage", `${name}, line ${i + 1}: ${why}.`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw refuse("this is no JSON; every line is an object with prompt (or messages) and answer");
    }
    const { prompt, messages, answer = "" } = (value ?? {}) as Record<string, unknown>;
    if ((prompt === undefined) === (messages === undefined)) throw refuse("one of prompt and messages is needed");
    if (typeof answer !== "string") throw refuse(`answer must be a text, but is ${shown(answer)}`);
    if (prompt !== undefined && typeof prompt !== "string") throw refuse(`prompt must be a text, but is ${shown(prompt)}`);
    if (messages !== undefined && !isMessages(messages))
      throw refuse("messages must be a list of { role, content }, and no empty one");
    questions.push({ prompt: (prompt ?? messages) as Question["prompt"], answer });
  }
  if (questions.length === 0) throw new BrownianError("usage", `${name} has no question: give it a line of JSON for each.`);
  return questions;
}

const isMessages = (value: unknown): value is readonly Message[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(
    (one) => typeof one === "object" && one !== null && typeof one.role === "string" && typeof one.content === "string",
  );

const keyOf = ({ prompt }: Question): string => JSON.stringify(prompt);

/**
 * Parts a task in two, by chance.
 * @param share of the questions that judge, 0 to less than 1; they are at least one where it is above 0
 * @throws BrownianError usage where a question is there twice, or too few are left to learn from
 */
export function splitTask(questions: readonly Question[], share: number, seed: bigint): Split {
  checkNumber("validation", share, 0, 0.99);
  const order = shuffled(questions.length, seed, "evolve split", 0);
  const judging = share === 0 ? 0 : Math.max(1, Math.round(share * questions.length));
  const inOrder = (some: readonly number[]) => [...some].sort((a, b) => a - b).map((i) => questions[i] as Question);
  return checkSplit({ train: inOrder(order.slice(judging)), validation: inOrder(order.slice(0, judging)) });
}

/** @throws BrownianError usage where both parts have a question in common, or one to learn from is missing */
export function checkSplit(split: Split): Split {
  const { train, validation } = checkObject("A task", split);
  checkQuestions(train);
  checkQuestions(validation);
  if (split.train.length === 0)
    throw new BrownianError("usage", "The task has no question to learn from: give it more, or a smaller validation.");
  const learned = new Set(split.train.map(keyOf));
  const both = split.validation.find((question) => learned.has(keyOf(question)));
  if (both !== undefined)
    throw new BrownianError(
      "usage",
      `Training and validation overlap: both ask ${shown(keyOf(both))}. What is learned by heart would count as learned: take it out of one.`,
    );
  return split;
}

/** The questions of a generation, the same for all its members: `size` of them, without repetition. */
export function batchOf(train: readonly Question[], size: number, seed: bigint, generation: number): Question[] {
  if (size >= train.length) return [...train];
  return shuffled(train.length, seed, "evolve batch", generation)
    .slice(0, size)
    .map((i) => train[i] as Question);
}

/** 0 ... n - 1 in an order by chance: by the uniforms of a stream of this name. */
export function shuffled(n: number, seed: bigint, name: string, tick: number): number[] {
  const uniform = new Noise(seed).stream(name).uniform(new Float32Array(n), { tick });
  return Array.from({ length: n }, (_, i) => i).sort((a, b) => (uniform[a] as number) - (uniform[b] as number) || a - b);
}

/** As the model takes it. */
export const promptOf = ({ prompt }: Question): Prompt => prompt;
