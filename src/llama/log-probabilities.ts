// How likely written tokens were: told of the logits that each was chosen from, which nothing has changed, by the kernel that reads them.

import { BrownianError, checkInteger } from "../errors.js";
import { selection } from "../kernels/select.js";
import { LogitColumn } from "../laws/numbers.js";

/** A written token, and what the model thought of it and of others in its place. */
export interface TokenLogProbability {
  /** Its number in the vocabulary. */
  readonly token: number;
  /** ln p of it, given the text before it. */
  readonly logProbability: number;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly top: readonly { readonly token: number; readonly logProbability: number }[];
}

/** More alternatives than anybody reads, and few enough to be found in one pass. */
const MOST = 100;
const NO_TEMPERATURES = new Float32Array(0);

export class LogProbabilities {
  /** @throws BrownianError usage. Undefined where nobody asked. */
  static asked(options: { readonly logprobs?: number | undefined; readonly pick?: unknown }, vocabulary: number) {
    if (options.logprobs === undefined) return undefined;
    const count = checkInteger("logprobs", options.logprobs, 0, MOST);
    if (options.pick !== undefined)
      throw new BrownianError("usage", "Give pick, or logprobs: pick is handed the logits, of which logprobs are made.");
    return new LogProbabilities(new Float32Array(vocabulary), Math.min(count, vocabulary));
  }

  /** Of the last token: whoever chooses fills them. */
  readonly all: TokenLogProbability[] = [];
  private readonly numbers = new Float64Array(LogitColumn.head);

  private constructor(
    readonly logits: Float32Array,
    private readonly count: number,
  ) {}

  /** What the logits say of the token that was chosen from them. */
  add(token: number): TokenLogProbability {
    const { logits, numbers } = this;
    selection().kernels.readLogits(logits, { target: token, betas: NO_TEMPERATURES, reference: null }, numbers);
    const total = Math.log(numbers[LogitColumn.weight] as number);
    const largest = numbers[LogitColumn.largest] as number;
    const of = (one: number) => (logits[one] as number) - largest - total;
    const said = {
      token,
      logProbability: of(token),
      top: this.likeliest().map((one) => ({ token: one, logProbability: of(one) })),
    };
    this.all.push(said);
    return said;
  }

  /** One pass, with a short sorted list beside it: most logits are below its least. */
  private likeliest(): number[] {
    const { logits, count } = this;
    const found: number[] = [];
    if (count === 0) return found;
    let least = Number.NEGATIVE_INFINITY;
    for (let token = 0; token < logits.length; token++) {
      const logit = logits[token] as number;
      if (found.length === count && logit <= least) continue;
      let at = found.length;
      while (at > 0 && (logits[found[at - 1] as number] as number) < logit) at--;
      found.splice(at, 0, token);
      if (found.length > count) found.pop();
      least = logits[found[found.length - 1] as number] as number;
    }
    return found;
  }
}
