// Who answers: the seam between an evaluation and whatever writes its texts. There are two, our own engine (own-engine.ts) and servers (served.ts).
// Nothing else in this room knows which of them it is.

import type { FileIdentity } from "../files/identity.js";
import type { TextAsked } from "../llama/model.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import type { Carried, Dial, MethodName } from "./methods.js";
import type { Answer, CleanReading, EvaluationSettings, MemberReading, Served } from "./records.js";

/** A draw of the weights, which all texts of a step have in common. */
export interface Draw {
  readonly method: MethodName;
  readonly dial: Dial;
  /** Of dynamics that have a correlation time. */
  readonly tau: number;
  /** Equal numbers are the same draw at another sigma. */
  readonly number: number;
  /** 64 bits for it. */
  readonly seed: bigint;
}

/** How texts are written. */
export interface Writing {
  readonly maxTokens: number;
  /** Called with every text that is done. */
  readonly tell: () => void;
  readonly signal?: AbortSignal | undefined;
}

/** What whoever reads needs of an evaluation's work. */
export interface Work {
  readonly settings: EvaluationSettings;
  readonly watch: { readonly signal?: AbortSignal };
  questions(half: Half): readonly Question[];
  step<T>(name: string, work: number, make: (tell: () => void) => Promise<T>): Promise<T>;
  seed(name: string): bigint;
}

/** How often softmax takes another token than the clean model's likeliest, on the clean model's own answers. */
export interface AtRest {
  /** At each level. */
  readonly softmax: readonly number[];
  /** With the tail cut off, at a temperature. */
  minP(temperature: number): number;
}

/** What follows from the greedy answers of a half. */
export interface Reading {
  /** What the clean model says of each question. */
  clean(): Promise<readonly CleanReading[]>;
  /** What a member says of each question, where it can be asked. @param sample whose weights it has: those of the same sample of `quenched` */
  member?(level: number, sample: number, sigma: number): Promise<readonly MemberReading[]>;
  atRest(): Promise<AtRest>;
  /** How often moved weights do so: read off greedily, and then at each of some temperatures. @param draw which of those that measure */
  moved(carried: Carried, sigma: number, draw: number, temperatures: readonly number[]): Promise<number[]>;
}

export interface Respondent {
  /** The methods that are put beside softmax unless others are named. */
  readonly usual: readonly MethodName[];
  /** Where servers answer: what they have. */
  readonly served: Served | undefined;
  /** Which model answers. */
  identity(): Promise<FileIdentity>;
  /** Half a sentence on why it does not have a method; undefined where it has. */
  lacks(method: MethodName): string | undefined;
  /** @throws BrownianError usage where it cannot answer these questions so */
  check(settings: EvaluationSettings, task: Task): void;
  /** The sigma that weights move by where this one is asked for. */
  sigmaNear(sigma: number): number;
  /** An answer to each of these, in their order. @param draw of the weights; undefined: clean ones */
  write(texts: readonly TextAsked[], draw: Draw | undefined, writing: Writing): Promise<readonly Answer[]>;
  reading(work: Work, half: Half, answers: readonly Answer[]): Reading;
}
