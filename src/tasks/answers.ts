// When an answer is right, and when two are the same: texts are compared by their words, without case, accents, punctuation and articles, and
// without the words that the question has given already.

import { checkText } from "../errors.js";
import { checkQuestion, matchOf, patternOf, type Question } from "./question.js";

/** Small words that answers differ in, and mean the same. */
const ARTICLES = new Set(["a", "an", "the"]);

/** Beginnings of answers that go on after them; "St." is one, so its point ends nothing. */
const ABBREVIATION = /(?:^|[\s(.])(?:[A-Z]|St|Dr|Mr|Mrs|Ms|vs)\.$/;

/**
 * The words of a text: NFKD without marks, lower case, without punctuation and articles.
 * "The Curaçao, D.C.!" has "curacao" and "dc".
 */
export function wordsOf(text: string): string[] {
  const plain = text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .replace(/(?<=\d),(?=\d{3})/g, "")
    .replace(/(?<=\p{L})[.'’`ʻ](?=\p{L}|\s|$)/gu, "");
  return (plain.match(/[-+]?\d+(?:\.\d+)?|\p{L}+/gu) ?? []).filter((word) => !ARTICLES.has(word));
}

/** The first sentence of an answer: up to an end of line, or a full stop that ends no abbreviation. */
export function firstSentence(text: string): string {
  const [line = ""] = text.trim().split("\n");
  for (const { index } of line.matchAll(/[.!?](?=\s|$)/g)) {
    const upTo = line.slice(0, index + 1);
    if (!ABBREVIATION.test(upTo)) return upTo;
  }
  return line;
}

/** The last number of a text, without separators; undefined where it has none. */
export function lastNumber(text: string): string | undefined {
  const number = text
    .replace(/(?<=\d),(?=\d{3})/g, "")
    .match(/-?\d+(?:\.\d+)?/g)
    ?.at(-1);
  return number === undefined ? undefined : String(Number(number));
}

/** Whether `words` has `sought` in a row. */
export function hasWords(words: readonly string[], sought: readonly string[]): boolean {
  if (sought.length === 0) return false;
  return words.some((_, start) => sought.every((word, i) => words[start + i] === word));
}

const beginsWith = (words: readonly string[], sought: readonly string[]): boolean =>
  sought.length > 0 && sought.every((word, i) => words[i] === word);

/** Whether what a model wrote answers the question. */
export function isRight(question: Question, text: string): boolean {
  const { answers } = checkQuestion(question);
  checkText("text", text);
  switch (matchOf(question)) {
    case "pattern":
      return answers.some((answer) => patternOf(answer)?.test(text));
    case "number": {
      const number = lastNumber(text);
      return number !== undefined && answers.some((answer) => lastNumber(answer) === number);
    }
    case "exact": {
      const words = String(wordsOf(text.trim().split("\n")[0] ?? ""));
      return answers.some((answer) => String(wordsOf(answer)) === words);
    }
    case "begins": {
      const words = wordsOf(text);
      return answers.some((answer) => beginsWith(words, wordsOf(answer)));
    }
    case "contains": {
      const words = wordsOf(firstSentence(text));
      return answers.some((answer) => hasWords(words, wordsOf(answer)));
    }
  }
}

/**
 * What a text says in answer to the question, so that answers that say the same are equal: the number, or the words of its first sentence that the
 * question has not. Texts that name the same right answer are the same, whatever else they say.
 */
export function meaningOf(question: Question, text: string): string {
  const match = matchOf(checkQuestion(question));
  if (checkText("text", text) === "") return "";
  if (match === "number") return lastNumber(text) ?? "";
  if (match === "begins")
    return wordsOf(text)
      .slice(0, wordsOf(question.answers[0] ?? "").length)
      .join(" ");
  const words = wordsOf(firstSentence(text));
  const named = match === "contains" ? question.answers.find((answer) => hasWords(words, wordsOf(answer))) : undefined;
  if (named !== undefined) return wordsOf(question.answers[0] as string).join(" ");
  const { prompt } = question;
  const asked = new Set(
    wordsOf(typeof prompt === "string" ? prompt.split("\n").slice(-2).join("\n") : (prompt.at(-1)?.content ?? "")),
  );
  const own = words.filter((word) => !asked.has(word));
  return (own.length > 0 ? own : words).join(" ");
}
