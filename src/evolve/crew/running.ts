// A search as it comes over Redis: checked before it is believed. What it may ask for is bounded by what a worker is for.

import { BrownianError } from "../../errors.js";
import { checkQuestions } from "../task.js";
import type { MemberWork, Running } from "./crew.js";

/** Of a context that one asks a worker for, tokens; and of texts at once. */
const MOST_CONTEXT = 1 << 17;
const MOST_PARALLEL = 64;
const MOST_WINDOWS = 4096;

type Unknown = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Unknown => typeof value === "object" && value !== null && !Array.isArray(value);
const isWhole = (value: unknown, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
const isTokens = (value: unknown): boolean => Array.isArray(value) && value.every((token) => isWhole(token, 2 ** 31));
const isText = (value: unknown): boolean => typeof value === "string" && value.length <= 1024;
const isPositive = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0;

const areMoves = (moves: unknown): boolean =>
  isObject(moves) &&
  isPositive(moves.sigma) &&
  isText(moves.scale) &&
  /^\d{1,20}$/.test(String(moves.seed)) &&
  [undefined, true].includes(moves.accumulate as undefined) &&
  [undefined, true].includes(moves.floats as undefined) &&
  (moves.only === null || (Array.isArray(moves.only) && moves.only.every(isText)));

const areReads = (reads: unknown): boolean =>
  isObject(reads) &&
  ["likelihood", "first", "texts"].includes(reads.kind as string) &&
  isWhole(reads.maxTokens, MOST_CONTEXT) &&
  isWhole(reads.contextSize, MOST_CONTEXT) &&
  isWhole(reads.parallel, MOST_PARALLEL) &&
  Array.isArray(reads.windows) &&
  reads.windows.length <= MOST_WINDOWS &&
  reads.windows.every(isTokens) &&
  isTokens(reads.probe) &&
  (reads.chatTemplate === null || isText(reads.chatTemplate));

const isMachine = (machine: unknown): boolean =>
  isObject(machine) &&
  ["version", "engine", "llamaCpp", "isa"].every((name) => isText(machine[name])) &&
  isWhole(machine.threads, 4096) &&
  Number.isFinite(machine.sums);

const isBase = (base: unknown): boolean => isObject(base) && isText(base.file) && /^[0-9a-f]{64}$/.test(String(base.sha256));

/** @throws BrownianError usage for what no search of this version has written */
export function checkRunning(text: string): Running {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // refused below
  }
  const fits =
    isObject(value) &&
    /^[\w-]{1,100}$/.test(String(value.run)) &&
    isBase(value.base) &&
    areMoves(value.moves) &&
    isMachine(value.machine) &&
    areReads(value.reads) &&
    isPositive(value.stall);
  if (fits) return value as unknown as Running;
  throw new BrownianError(
    "usage",
    "What lies in this queue is no search that this version of brownian reads: give another --queue.",
  );
}

/** A member that is to be read, if it is one. @throws BrownianError usage */
export function checkWork(work: MemberWork): MemberWork {
  const { generation, tick, member } = (work ?? {}) as MemberWork;
  const fits =
    isWhole(generation, 2 ** 31) && isWhole(tick, 2 ** 32) && isWhole(member?.draw, 2 ** 31) && [-1, 0, 1].includes(member.sign);
  if (!fits) throw new BrownianError("usage", "What was given to this worker is no member of a generation.");
  checkQuestions(work.questions);
  return work;
}
