// What an evaluation measures, before anything follows from it: answers, readings, dials; and the settings that decide all of it. JSON throughout.

import type { Half } from "../tasks/task.js";
import type { Dial, MethodName } from "./methods.js";

/** Settings that decide every number. */
export interface EvaluationSettings {
  /** In the order of the table of methods. */
  readonly methods: readonly MethodName[];
  /** Temperatures of softmax that the others are put beside, rising. */
  readonly levels: readonly number[];
  /** What is made equal at each level. */
  readonly equal: "flips" | "accuracy";
  /** Answers of each method, level and question. */
  readonly samples: number;
  /** Tokens of an answer at most. */
  readonly maxTokens: number;
  /** Strings that end an answer. */
  readonly stop: readonly string[];
  /** Of dynamics that have a correlation time, in tokens. */
  readonly tau: number;
  /** Sigmas at which the weights' flips (or accuracies) are measured. */
  readonly sigmas: readonly number[];
  /** Draws of the weights at each. */
  readonly draws: number;
  /** Questions that are answered: numbers in the task. */
  readonly questions: Readonly<Record<Half, readonly number[]>>;
  /** Whether all methods answer the tuning half too, and members read answers: what answers' uncertainty is made from. */
  readonly uncertainty: boolean;
  /** Decimal. */
  readonly seed: string;
  /** Where servers answered: which draws of the weights they have, and what they are. */
  readonly served?: Served;
}

/** Members on servers. */
export interface Served {
  /** Of the members' noise, decimal. */
  readonly seed: string;
  /** Of it on each matrix. */
  readonly rank: number;
  /** How many there are. */
  readonly members: number;
  /** Whether their mirror images are draws, too. */
  readonly antithetic: boolean;
  /** The sigmas that there are, where a server takes no scale with a request; else null. */
  readonly levels: readonly number[] | null;
  /** What the servers are, such as "llama-server". */
  readonly servers: readonly string[];
}

/** One answer, as it was written. */
export interface Answer {
  /** As it was written, without what ended it. */
  readonly text: string;
  /** How many it has. */
  readonly tokens: number;
  /** ln p of its tokens under the weights that wrote it, before any temperature: their sum, and the least. */
  readonly logProbability: number;
  /** The least of them. */
  readonly least: number;
  /** Of greedy answers, which are read again. */
  readonly ids?: readonly number[];
  /** Of greedy answers of servers: their tokens as text, ln p of each, and ln p of the likeliest in its place, falling. */
  readonly seen?: readonly { readonly text: string; readonly logProbability: number; readonly top: readonly number[] }[];
}

/** One answer to each of some questions. */
export interface Answers {
  readonly answers: readonly Answer[];
  readonly seconds: number;
}

/** What the clean model says of one question: of its own greedy answer, and of the right one. */
export interface CleanReading {
  /** Of each token of its greedy answer: ln p, and the entropy of what was expected in its place; nats. */
  readonly logProbabilities: readonly number[];
  readonly entropies: readonly number[];
  /** ln p of the right answer at T = 1; null where that is a pattern. */
  readonly right: number | null;
  /** The same at each level. */
  readonly rightAt: readonly (number | null)[];
}

/** What one member with moved weights says of one question. */
export interface MemberReading {
  /** ln p of the right answer; null where that is a pattern. */
  readonly right: number | null;
  /** ln p of the greedy answer. */
  readonly greedy: number;
  /**
   * Of each token of the greedy answer: what the member expected in its place, as probabilities of the tokens that the clean model finds likeliest
   * there, and of all others together.
   */
  readonly expected: readonly (readonly number[])[];
}

/** What was measured. */
export interface EvaluationRecords {
  /** What decided them. */
  readonly settings: EvaluationSettings;
  /** Which model answered. */
  readonly model: {
    /** Name of its file. */
    readonly file: string;
    /** Size of its file. */
    readonly bytes: number;
    /** Hexadecimal. */
    readonly sha256: string;
  };
  /** Which questions. */
  readonly task: {
    /** Of its file, or its maker. */
    readonly name: string;
    /** Hexadecimal. */
    readonly sha256: string;
    /** How many it has, in both halves. */
    readonly questions: number;
  };
  /** By method and level ({@link at}). */
  readonly dials: Readonly<Record<string, Dial>>;
  /** What dials were tuned to, by level: softmax's share of flips, or its accuracy, on the tuning half. */
  readonly targets: Readonly<Record<string, number>>;
  /** By half, method and level: samples, each of all questions of the half. */
  readonly answers: Readonly<Record<Half, Readonly<Record<string, readonly Answers[]>>>>;
  /** By half: of each question. */
  readonly clean: Readonly<Record<Half, readonly CleanReading[]>>;
  /** By half and level: members, each of all questions of the half. Only where uncertainty was asked for, and weights moved. */
  readonly members: Readonly<Record<Half, Readonly<Record<string, readonly (readonly MemberReading[])[]>>>>;
}

/** The name of a method at a level. */
export const at = (method: MethodName, level: number): string => (method === "greedy" ? "greedy" : `${method} ${level}`);

/** The levels of a method: greedy has none. */
export const levelsOf = (method: MethodName, { levels }: Pick<EvaluationSettings, "levels">): readonly number[] =>
  method === "greedy" ? [0] : levels;
