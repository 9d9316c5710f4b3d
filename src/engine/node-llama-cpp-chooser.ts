// What chooses the tokens of a text with node-llama-cpp, in the words of its options.

import type { LlamaGrammarEvaluationState, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import { COLDEST, engineSeed } from "./dice.js";
import type { Chooser, Filters, Sampling } from "./interface.js";

/** What chooses in a text: node-llama-cpp makes its samplers anew with every call, and is told what they have seen. */
export class Remembered implements Chooser {
  readonly tokens: Token[];
  private seed: number;

  constructor(
    private readonly sampling: Sampling,
    before: readonly number[],
    private readonly grammar: LlamaGrammarEvaluationState | undefined,
  ) {
    this.tokens = [...before] as Token[];
    this.seed = sampling.seed;
  }

  options(contextSize: number): SequenceEvaluateOptions {
    const { temperature, topK, topP, minP, yieldEogToken, xtc, penalties } = this.sampling;
    const cold = temperature < COLDEST;
    return {
      temperature: cold ? 0 : temperature,
      topK,
      topP,
      minP,
      yieldEogToken,
      seed: engineSeed(this.seed),
      ...(xtc && { xtc }),
      ...(penalties && { repeatPenalty: this.punished(penalties, contextSize) }),
      ...(this.grammar && { grammarEvaluationState: this.grammar }),
    };
  }

  private punished({ last, repeat, frequency, presence }: NonNullable<Filters["penalties"]>, contextSize: number) {
    const most = last < 0 ? contextSize : Math.min(last, contextSize);
    return {
      punishTokens: () => this.tokens.slice(this.tokens.length - Math.min(most, this.tokens.length)),
      maxPunishTokens: most,
      penalty: repeat,
      frequencyPenalty: frequency,
      presencePenalty: presence,
    };
  }

  reseed(seed: number): void {
    this.seed = seed;
  }

  free(): void {}
}
