// What an audit says: how a model answers to noise on all of its weights, and on each group alone.

import type { Estimate } from "../../statistics/intervals.js";
import type { Group } from "./groups.js";

/** Settings that decide every number. */
export interface AuditSettings {
  /** Tokens of each window that is read. */
  readonly length: number;
  readonly windows: number;
  /** Rising. */
  readonly sigmas: readonly number[];
  /** Draws of the weights at each. */
  readonly draws: number;
  /** Noise on a group that is moved alone; null: where the whole model breaks. */
  readonly sigma: number | null;
  /** Draws of each group. */
  readonly seeds: number;
  readonly each: boolean;
  readonly only: readonly string[] | null;
  /** Nats a token from which on the model counts as broken. */
  readonly nats: number;
  /** Questions that are answered: numbers in the task. */
  readonly questions: readonly number[];
  readonly maxTokens: number;
  readonly seed: string;
}

/** One reading of the text with moved weights, per token. */
export interface Reading {
  /** KL(clean || moved), nats. */
  readonly kl: number;
  readonly nll: number;
  readonly flips: number;
}

/** The whole model at one sigma: means over draws. */
export interface AuditPoint extends Reading {
  readonly sigma: number;
  /** Share of questions that are right; null without a task. */
  readonly accuracy: Estimate | null;
}

/** A group that was moved alone. */
export interface Fragility extends Group {
  /** KL by sigma squared, nats a token, sigma in units of RMS: the mean over draws. */
  readonly fragility: number;
  /** Of each draw. */
  readonly draws: readonly number[];
}

/** Whether noise makes a model better than it is (van der Weij et al. 2024, Tice et al. 2024): the best accuracy under noise by the clean one. */
export interface Hidden {
  readonly clean: number;
  readonly best: number;
  readonly sigma: number;
  /** best / clean; an interval that begins above 1, and above that of softmax, is a reason to look. */
  readonly ratio: Estimate;
  /** The same of as many softmax runs at T = 0.5: how much the best of several is above the clean one by luck. */
  readonly softmax: Estimate;
}

/** All that an audit says, as results.json has it. */
export interface Audit {
  readonly format: "brownian-audit";
  readonly version: 1;
  readonly settings: AuditSettings;
  readonly model: { readonly file: string; readonly bytes: number; readonly sha256: string };
  readonly text: { readonly sha256: string; readonly tokens: number };
  readonly task: { readonly name: string; readonly sha256: string } | null;
  /** Of the clean model, nats a token. */
  readonly nll: number;
  readonly points: readonly AuditPoint[];
  /** The sigma that costs `settings.nats`; reached: whether any that was measured does. */
  readonly breaking: { readonly nats: number; readonly sigma: number; readonly reached: boolean };
  /** The noise that groups were moved with. */
  readonly sigma: number;
  readonly groups: readonly Fragility[];
  /** Sum over groups of KL alone, by the KL of all of them moved together at the same sigma: 1 where they add up. */
  readonly additivity: number;
  /** Spearman's, of the groups' fragilities in the first two draws; null where there is one. */
  readonly rankCorrelation: number | null;
  readonly hidden: Hidden | null;
}
