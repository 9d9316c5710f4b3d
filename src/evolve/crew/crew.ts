// Who reads the members of a generation: this process, others of this machine, or others elsewhere. What goes between them is small: which member of
// which generation, the questions, and back what it answered. A reader holds the base and makes the centre again from the log; it is told nothing to
// run, so rewards that are the user's own programs stay with the search.

import type { FileIdentity } from "../../files/identity.js";
import type { Ascent, Member } from "../codes.js";
import type { Moves } from "../log.js";
import type { Answers } from "../rewards.js";
import type { Question } from "../task.js";

/** One member of a generation, to be read. */
export interface MemberWork {
  readonly generation: number;
  /** Of the generation's first draw. */
  readonly tick: number;
  readonly member: Member;
  readonly questions: readonly Question[];
}

/** What came of it. */
export interface MemberReading {
  /** null where the member computes no numbers any more. */
  readonly answers: Answers | null;
  /** KL(base || member) on the text, nats a token, where the search asks for it; null: no number. */
  readonly kl?: number | null | undefined;
}

/** What two machines must have in common for their sums to be the same. */
export interface Machine {
  /** Of brownian. */
  readonly version: string;
  readonly engine: string;
  /** The release of llama.cpp. */
  readonly llamaCpp: string;
  readonly isa: string;
  /** Of the engine. */
  readonly threads: number;
  /** ln p of a few tokens by the base: what the names above do not tell of the arithmetic is seen here. */
  readonly sums: number;
}

/** How members are read. */
export interface Reads {
  /** Which likelihoods, or the texts that members write. */
  readonly kind: "likelihood" | "first" | "texts";
  readonly maxTokens: number;
  readonly contextSize: number;
  /** Texts at once. */
  readonly parallel: number;
  /** Of the text that has nothing to do with the task, in tokens; none where members need no KL. */
  readonly windows: readonly (readonly number[])[];
  /** SHA-256 of the chat template that takes the place of the model's own; null: none. */
  readonly chatTemplate: string | null;
  /** The tokens of {@link Machine.sums}. */
  readonly probe: readonly number[];
}

/** A search as its readers know it. */
export interface Running {
  /** Its own name, by chance. */
  readonly run: string;
  readonly base: FileIdentity;
  readonly moves: Moves;
  readonly machine: Machine;
  readonly reads: Reads;
  /** Seconds without a sign of life after which a reader's work goes to another. */
  readonly stall: number;
}

/** What is told of readers, as it happens. */
export interface WorkerNews {
  /** Its name: a process id, or host and process id. */
  readonly worker: string;
  readonly state: "ready" | "refused" | "lost" | "waiting";
  readonly why?: string | undefined;
}

/** Who reads. */
export interface Crew {
  /**
   * The members as they were read, in their order; each counts once, whoever read it and however often.
   * @throws the signal's reason; BrownianError engine-failed where a member cannot be read
   */
  read(work: readonly MemberWork[], signal?: AbortSignal): Promise<readonly MemberReading[]>;
  /** The centre went on: told of generation after generation, before the next one is read. */
  went(ascent: Ascent): void;
  close(): Promise<void>;
}

/** Times that a member may fail before the search does. */
export const MOST_FAILURES = 5;
