// What a comparison holds: what was measured (Records, which run.ts makes) and what follows from it (Comparison, which results.ts computes). Data
// only, as it stands in results.json.

import type { Profile, SoftmaxPoint } from "../statistics/calibration.js";
import type { Estimate } from "../statistics/intervals.js";
import type { Remembered } from "./autocorrelation.js";
import type { MethodName } from "./methods.js";
import type { MetricName, Written } from "./metrics.js";

/** The settings that decide every number of a comparison. */
export interface ComparisonSettings {
  /** What is compared, softmax among them. */
  readonly methods: readonly MethodName[];
  /** Temperatures of softmax whose flip rates the others are tuned to, up to the breaking point. */
  readonly levels: readonly number[];
  /** Further temperatures, beyond the breaking point. */
  readonly beyond: readonly number[];
  /** Beginnings of texts. */
  readonly prompts: readonly string[];
  /** Texts a prompt: as many as were written, in results. */
  readonly samples: number;
  /** Tokens a text, and a window of reading. */
  readonly maxTokens: number;
  /** Correlation time in tokens. */
  readonly tau: number;
  /** Decimal. */
  readonly seed: string;
  /** How many windows dials are tuned on, at most. */
  readonly tuneWindows: number;
  /** How many others they are checked on, at most. */
  readonly checkWindows: number;
  /** Where reading ends before: the flip rate minus softmax's is known within this share of it. */
  readonly precision: number;
  /** Where writing ends before: NLL minus softmax's is known within as many nats a token. */
  readonly precisionNats: number;
}

/** What one method did on the windows of the text it read, teacher-forced. */
export interface Reading {
  /** Flips of each window that was read, as a share of its tokens. */
  readonly flips: readonly number[];
  /** Mean KL(clean || moved), nats a token. */
  readonly kl: number;
}

/** What was measured. Records of a method at a level go by the name that {@link at} gives them. */
export interface Records {
  /** Which model: its file's name, size in bytes and SHA-256 (hexadecimal). */
  readonly model: Profile["model"];
  /** The text that dials were tuned and checked on. */
  readonly text: {
    /** Hexadecimal. */
    readonly sha256: string;
  };
  /** What decides every number. */
  readonly settings: ComparisonSettings;
  /** What of the calibration the comparison rests on. */
  readonly profile: Pick<Profile, "noise" | "nll" | "breaking">;
  readonly dials: Readonly<Record<string, number>>;
  /** What flip rates at a level are worth tuning: sigma of the weights in units of what the calibration says, by method. */
  readonly factors: Readonly<Record<string, number>>;
  /** Flip rate of softmax on the windows that dials are checked on, at many temperatures. */
  readonly softmaxCurve: readonly SoftmaxPoint[];
  /** Levels up to the breaking point only. */
  readonly readings: Readonly<Record<string, Reading>>;
  /** Prompt after prompt. Greedy's under level 0. */
  readonly texts: Readonly<Record<string, readonly Written[]>>;
  /** By dynamics. */
  readonly memory: Readonly<Record<string, readonly Remembered[]>>;
}

/** The name of a method's record at a level. */
export function at(method: MethodName, level: number): string {
  return `${method} ${level}`;
}

/** The levels at which a method writes: greedy, without a dial, only once. */
export function levelsOf(method: MethodName, { levels, beyond }: ComparisonSettings): readonly number[] {
  return method === "greedy" ? [0] : [...levels, ...beyond];
}

/** The texts of one method at one level, and what is said of them. */
export interface Point {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** Whether the level lies beyond the breaking point. */
  readonly beyond: boolean;
  /** What the method was set to: a sigma or a temperature; 0 for greedy. */
  readonly dial: number;
  /** Every figure, with its interval over texts. */
  readonly metrics: Readonly<Record<MetricName, Estimate>>;
  /** Speed while the texts were written. */
  readonly tokensPerSecond: number;
}

/** How often a method picks another token than the clean model's likeliest, on text that it did not choose. */
export interface Flips {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** What the method was set to: a sigma or a temperature; 0 for greedy. */
  readonly dial: number;
  /** Share of tokens, 0 to 1. */
  readonly rate: Estimate;
  /** Minus that of softmax, on the same windows. */
  readonly difference: Estimate;
  /** KL(clean || moved), nats a token; 0 for what changes no prediction but only how it is read off. */
  readonly kl: number;
}

/** A metric of a method minus that of softmax at the same level. */
export interface Difference extends Estimate {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** Which figure. */
  readonly metric: MetricName;
}

/** NLL of a method minus that of softmax, where both have the same self-BLEU. */
export interface AtEqualDiversity extends Estimate {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** Softmax's, at the level. */
  readonly selfBleu: number;
}

/** Means over the levels up to the breaking point, of what stands in {@link Difference} and {@link AtEqualDiversity}. */
export interface Pooled extends Estimate {
  /** Which method. */
  readonly method: MethodName;
  /** Whether {@link Difference} or {@link AtEqualDiversity} is meant. */
  readonly at: "equal flips" | "equal diversity";
  /** Which figure. */
  readonly metric: MetricName;
  /** How many levels; at equal diversity those that the method's frontier reaches. */
  readonly levels: number;
}

/** A text, for reading. */
export interface SampleText {
  /** Which method. */
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  /** Its beginning. */
  readonly prompt: string;
  /** What the method wrote after it. */
  readonly text: string;
  /** Negative log-likelihood under the clean model, nats a token. */
  readonly nll: number;
}

/** All that a comparison says, as results.json has it. */
export interface Comparison extends Omit<Records, "readings" | "texts" | "dials"> {
  /** What the file is, for whoever finds it. */
  readonly format: "brownian-comparison";
  /** Of the file's layout. */
  readonly version: 1;
  /** Flip rates of each method at each level. */
  readonly flips: readonly Flips[];
  /** Quality and diversity of each method at each level. */
  readonly points: readonly Point[];
  /** Of each method to softmax at the same level. */
  readonly differences: readonly Difference[];
  /** Of each method to softmax, where both are as diverse. */
  readonly atEqualDiversity: readonly AtEqualDiversity[];
  /** Means of the two over levels. */
  readonly pooled: readonly Pooled[];
  /** Some of the texts. */
  readonly texts: readonly SampleText[];
}
