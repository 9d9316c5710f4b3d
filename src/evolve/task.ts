// Which questions of a task a search learns from, which it is judged by, and which a generation asks.

import { BrownianError, checkList, checkNumber, checkObject, shown } from "../errors.js";
import { fnv1a, Noise } from "../noise/index.js";
import { checkQuestion, type Question } from "../tasks/question.js";

export type { Question };

/** Questions, if they are some. @throws BrownianError usage */
export function checkQuestions(questions: readonly Question[]): readonly Question[] {
  for (const question of Array.from(checkList("A task", questions))) checkQuestion(question);
  return questions;
}

/** A task in two parts that have no question in common. */
export interface Split {
  readonly train: readonly Question[];
  /** May be empty. */
  readonly validation: readonly Question[];
}

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

/** Which questions they are, in their order: as a log says it. */
export const digest = ({ train, validation }: Split): string => digestOfText(JSON.stringify([train, validation]));

/** 64 bits of a text, in hexadecimal digits: by them a log knows whether a search is told the same again. */
export const digestOfText = (text: string): string => fnv1a(text).toString(16).padStart(16, "0");
