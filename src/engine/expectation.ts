// What a model expects after a token, told from the numbers that kernels make of its logits (src/laws/logits.ts). Pure functions.

import { BrownianError } from "../errors.js";
import { LogitColumn } from "../laws/numbers.js";
import { COLDEST } from "./dice.js";

/** What a model expected after a token. Entropies in nats. */
export interface Expectation {
  /** The likeliest token: the first, where several are. */
  readonly likeliest: number;
  /** ln p of the token that came; 0 where none did. */
  readonly logProbability: number;
  /** H(p) = -sum p ln p. */
  readonly entropy: number;
  /** Of each temperature that was asked for, p_T(likeliest): how often a draw of softmax is that token. */
  readonly stays: Float64Array;
  /** KL(reference || p) = sum r ln (r / p); NaN where there was nothing to compare with. */
  readonly divergence: number;
  /** The logits of the whole vocabulary. Handed over when asked for, in an array that is used again for the next token. */
  readonly logits: Float32Array;
}

/** A reading that others of the same tokens are compared with. */
export interface Kept {
  /** Row after row. */
  readonly logits: Float32Array;
  /** What kernels said of each row, LogitColumn.head numbers. */
  readonly rows: Float64Array;
}

/** What is asked of a reading, besides what came. */
export interface Asked {
  /** The first token after which something is expected; default 0. Those before it are read, and no more. */
  readonly from?: number | undefined;
  /** Temperatures above 0. */
  readonly temperatures?: readonly number[] | undefined;
  /** Another reading of the same tokens from the same on. */
  readonly reference?: Kept | undefined;
  /** Whether this reading is to be compared with. */
  readonly keep?: boolean | undefined;
  /** What was kept of another reading that nobody looks at any more: its memory is used again where it is as large. */
  readonly into?: Kept | undefined;
  /** Probabilities are added to this: a row of the vocabulary for each token from `from` on. */
  readonly sums?: Float32Array | undefined;
}

/** One reading on its way: what kernels are asked, and what they said. */
export class Reading {
  readonly betas: Float32Array;
  readonly kept: Kept | undefined;
  readonly width: number;

  /**
   * @param outputs tokens after which something is expected
   * @param room where their logits are kept; default: an array of their own
   */
  constructor(
    readonly asked: Asked,
    outputs: number,
    private readonly vocabulary: number,
    room?: Float32Array,
  ) {
    this.betas = Float32Array.from(asked.temperatures ?? [], (temperature) => 1 / Math.max(temperature, COLDEST));
    this.width = LogitColumn.head + this.betas.length;
    if (!asked.keep) return;
    const again = asked.into?.logits.length === outputs * vocabulary ? asked.into : undefined;
    const logits = room ?? again?.logits ?? new Float32Array(outputs * vocabulary);
    this.kept = { logits, rows: new Float64Array(outputs * LogitColumn.head) };
  }

  /** What kernels are asked of outputs from number `from` on. */
  wanted(from: number): { betas: Float32Array } & Partial<Record<"reference" | "keep" | "sums", Float32Array>> {
    const { reference, sums } = this.asked;
    const rows = { reference: reference?.logits, keep: this.kept?.logits, sums };
    const given = Object.entries(rows).filter(([, array]) => array !== undefined);
    return {
      betas: this.betas,
      ...Object.fromEntries(given.map(([name, array]) => [name, array?.subarray(from * this.vocabulary)])),
    };
  }

  /** The rows of outputs `from` to `to` of an array that has one for each. */
  rowsOf(array: Float32Array | undefined, from: number, to: number): Float32Array | undefined {
    return array?.subarray(from * this.vocabulary, to * this.vocabulary);
  }

  /** What kernels said of output i, as it is meant. */
  expectation(i: number, row: Float64Array, likeliest: number, logits: () => Float32Array): Expectation {
    this.kept?.rows.set(row.subarray(0, LogitColumn.head), i * LogitColumn.head);
    const weight = row[LogitColumn.weight] as number;
    const total = Math.log(weight);
    return {
      likeliest,
      logProbability: (row[LogitColumn.below] as number) - total,
      entropy: Math.max(0, total - (row[LogitColumn.moment] as number) / weight),
      stays: row.subarray(LogitColumn.head).map((sum) => 1 / sum),
      divergence: this.divergence(i, row),
      get logits() {
        return logits();
      },
    };
  }

  /** sum r ln r - sum r ln p, with the weights, moments and products that kernels made of both rows. */
  private divergence(i: number, row: Float64Array): number {
    const { reference } = this.asked;
    if (reference === undefined) return Number.NaN;
    const there = reference.rows.subarray(i * LogitColumn.head, (i + 1) * LogitColumn.head);
    const weight = there[LogitColumn.weight] as number;
    const own = (there[LogitColumn.moment] as number) / weight - Math.log(weight);
    const cross = (row[LogitColumn.cross] as number) / weight - Math.log(row[LogitColumn.weight] as number);
    return Math.max(0, own - cross); // rounding may leave a little less
  }
}

/** The engine computed logits that are NaN, infinite, or all impossible. */
export class NoNumbers extends BrownianError {
  /** Only these: BrownianError's own would take every error of ours for one. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return Function.prototype[Symbol.hasInstance].call(NoNumbers, value);
  }

  constructor(name: string) {
    super(
      "engine-failed",
      `${name} computes no numbers: its logits are NaN or infinite. brownian inspect names the blocks of a damaged file; moved weights need a smaller sigma.`,
    );
  }
}
