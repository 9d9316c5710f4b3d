// Tasks: questions with answers that are right, for evaluations and searches.
//
//   task.ts question.ts   what they are
//   readers.ts            the ways in which they are written
//   answers.ts            when an answer is right, and when two say the same
//   made/                 questions that are made from a seed or a text, one file a kind

export { isRight, meaningOf } from "./answers.js";
export { MAKERS, type MakeOptions, type MakerName, makeTask } from "./made/index.js";
export { answerText, checkQuestion, type Match, matchOf, type Question } from "./question.js";
export { checkTask, type Half, halfOf, parseTask, type Task } from "./task.js";
