// What a comparison holds: what was measured (Records, which run.ts makes) and what follows from it (Comparison, which results.ts computes). Data
// only, as it stands in results.json.

import type { Profile } from "../statistics/calibration.js";
import type { Estimate } from "../statistics/intervals.js";
import type { Remembered } from "./autocorrelation.js";
import type { MethodName } from "./methods.js";
import type { MetricName, Written } from "./metrics.js";

/** The settings that decide every number of a comparison. */
export interface ComparisonSettings {
  readonly methods: readonly MethodName[];
  /** Temperatures of softmax whose flip rates the others are tuned to, up to the breaking point. */
  readonly levels: readonly number[];
  /** Further temperatures, beyond the breaking point. */
  readonly beyond: readonly number[];
  readonly prompts: readonly string[];
  /** Texts a prompt. */
  readonly samples: number;
  /** Tokens a text, and a window of reading. */
  readonly maxTokens: number;
  readonly tau: number;
  readonly seed: string;
  /** Windows that dials are tuned on, and others that they are checked on. */
  readonly tuneWindows: number;
  readonly checkWindows: number;
}

/** What one method did on the windows of the text it read, teacher-forced. */
export interface Reading {
  /** Flips of each window, as a share of its tokens. */
  readonly flips: readonly number[];
  /** Mean KL(clean || moved), nats a token. */
  readonly kl: number;
}

/** What was measured. Records of a method at a level go by the name that {@link at} gives them. */
export interface Records {
  readonly model: Profile["model"];
  readonly text: { readonly sha256: string };
  readonly settings: ComparisonSettings;
  readonly profile: Pick<Profile, "noise" | "nll" | "breaking">;
  readonly dials: Readonly<Record<string, number>>;
  /** What flip rates at a level are worth tuning: sigma of the weights in units of what the calibration says, by method. */
  readonly factors: Readonly<Record<string, number>>;
  /** Flip rate of softmax on the windows that dials are checked on, at many temperatures. */
  readonly softmaxCurve: readonly { readonly temperature: number; readonly flipRate: number }[];
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
  readonly method: MethodName;
  /** The temperature of softmax that it stands beside; 0 for greedy. */
  readonly level: number;
  readonly beyond: boolean;
  readonly dial: number;
  readonly metrics: Readonly<Record<MetricName, Estimate>>;
  readonly tokensPerSecond: number;
}

/** How often a method picks another token than the clean model's likeliest, on text that it did not choose. */
export interface Flips {
  readonly method: MethodName;
  readonly level: number;
  readonly dial: number;
  readonly rate: Estimate;
  /** Minus that of softmax, on the same windows. */
  readonly difference: Estimate;
  /** KL(clean || moved), nats a token; 0 for what changes no prediction but only how it is read off. */
  readonly kl: number;
}

/** A metric of a method minus that of softmax at the same level. */
export interface Difference extends Estimate {
  readonly method: MethodName;
  readonly level: number;
  readonly metric: MetricName;
}

/** NLL of a method minus that of softmax, where both have the same self-BLEU. */
export interface AtEqualDiversity extends Estimate {
  readonly method: MethodName;
  readonly level: number;
  /** Softmax's, at the level. */
  readonly selfBleu: number;
}

/** Means over the levels up to the breaking point, of what stands in {@link Difference} and {@link AtEqualDiversity}. */
export interface Pooled extends Estimate {
  readonly method: MethodName;
  readonly at: "equal flips" | "equal diversity";
  readonly metric: MetricName;
  /** How many levels; at equal diversity those that the method's frontier reaches. */
  readonly levels: number;
}

/** A text, for reading. */
export interface SampleText {
  readonly method: MethodName;
  readonly level: number;
  readonly prompt: string;
  readonly text: string;
  readonly nll: number;
}

/** All that a comparison says, as results.json has it. */
export interface Comparison extends Omit<Records, "readings" | "texts" | "dials"> {
  readonly format: "brownian-comparison";
  readonly version: 1;
  readonly flips: readonly Flips[];
  readonly points: readonly Point[];
  /** Of each method to softmax at the same level. */
  readonly differences: readonly Difference[];
  readonly atEqualDiversity: readonly AtEqualDiversity[];
  readonly pooled: readonly Pooled[];
  readonly texts: readonly SampleText[];
}
