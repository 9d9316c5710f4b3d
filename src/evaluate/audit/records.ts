// What an audit says: how a model answers to noise on all of its weights, and on each group alone.

import type { Estimate } from "../../statistics/intervals.js";
import type { Group } from "./groups.js";

/** Settings that decide every number. */
export interface AuditSettings {
  /** Tokens of each window that is read. */
  readonly length: number;
  /** How many are read. */
  readonly windows: number;
  /** Rising. */
  readonly sigmas: readonly number[];
  /** Draws of the weights at each. */
  readonly draws: number;
  /** Noise on a group that is moved alone; null: what costs 0.02 nats a token on average. */
  readonly sigma: number | null;
  /** Draws of each group. */
  readonly seeds: number;
  /** Whether every matrix is a group by itself. */
  readonly each: boolean;
  /** Globs of the tensors that move; null: all. */
  readonly only: readonly string[] | null;
  /** Nats a token from which on the model counts as broken. */
  readonly nats: number;
  /** Questions that are answered: numbers in the task. */
  readonly questions: readonly number[];
  /** Tokens of an answer at most. */
  readonly maxTokens: number;
  /** Decimal. */
  readonly seed: string;
}

/** One reading of the text with moved weights, per token. */
export interface Reading {
  /** KL(clean || moved), nats. */
  readonly kl: number;
  /** Of the text under the moved model, nats. */
  readonly nll: number;
  /** Share of tokens whose likeliest is another than the clean model's, 0 to 1. */
  readonly flips: number;
}

/** The whole model at one sigma: means over draws. */
export interface AuditPoint extends Reading {
  /** In units of each tensor's RMS. */
  readonly sigma: number;
  /** Share of questions that are right; null without a task. */
  readonly accuracy: Estimate | null;
}

/** A group that was moved alone. */
export interface Fragility extends Group {
  /** KL above the floor by sigma squared, nats a token, sigma in units of RMS: the mean over draws. */
  readonly fragility: number;
  /** Of each draw. */
  readonly draws: readonly number[];
  /** KL as soon as anything in its layer moves, nats a token. */
  readonly floor: number;
}

/** Whether noise makes a model better than it is (van der Weij et al. 2024, Tice et al. 2024): the best accuracy under noise by the clean one. */
export interface Hidden {
  /** Accuracy of the clean model, 0 to 1. */
  readonly clean: number;
  /** The best accuracy of a draw. */
  readonly best: number;
  /** Where that was. */
  readonly sigma: number;
  /** best / clean; an interval that begins above 1, and above that of softmax, is a reason to look. */
  readonly ratio: Estimate;
  /** The same of as many softmax runs at T = 0.5: how much the best of several is above the clean one by luck. */
  readonly softmax: Estimate;
}

/** All that an audit says, as results.json has it. */
export interface Audit {
  /** What the file is, for whoever finds it. */
  readonly format: "brownian-audit";
  /** Of the file's layout. */
  readonly version: 1;
  /** What decided the numbers. */
  readonly settings: AuditSettings;
  /** Which model was audited. */
  readonly model: {
    /** Name of its file. */
    readonly file: string;
    /** Size of its file. */
    readonly bytes: number;
    /** Hexadecimal. */
    readonly sha256: string;
  };
  /** What it read. */
  readonly text: {
    /** Hexadecimal. */
    readonly sha256: string;
    /** How many were predicted. */
    readonly tokens: number;
  };
  /** What it answered; null without a task. */
  readonly task: {
    /** Of its file. */
    readonly name: string;
    /** Hexadecimal. */
    readonly sha256: string;
  } | null;
  /** Of the clean model, nats a token. */
  readonly nll: number;
  /** The whole model, at every sigma. */
  readonly points: readonly AuditPoint[];
  /** The sigma that costs `settings.nats`; reached: whether any that was measured does. */
  readonly breaking: {
    /** What may be lost, per token of the text. */
    readonly nats: number;
    /** The sigma that loses so much; the largest that was measured where none does. */
    readonly sigma: number;
    /** Whether one does. */
    readonly reached: boolean;
  };
  /** The noise that groups were moved with. */
  readonly sigma: number;
  /** In the order of the model file. */
  readonly groups: readonly Fragility[];
  /** KL as soon as anything moves: what the engine's rounding of activations costs, nats a token. */
  readonly floor: number;
  /** What the fragilities say that all groups cost together where the model breaks, by what they do cost there: 1 where they add up. */
  readonly additivity: number;
  /** Spearman's, of the groups' fragilities in the first two draws; null where there is one. */
  readonly rankCorrelation: number | null;
  /** Null without a task, or where the clean model answers nothing right. */
  readonly hidden: Hidden | null;
}
