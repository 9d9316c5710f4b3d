// How likely tokens were, as OpenAI's protocol tells it, with what moved weights disagree about beside.

import type { Answer, Uncertain, Writer, WrittenToken } from "./writer.js";

/** One entry of the list `content` of logprobs. */
export interface ToldToken {
  readonly token: string;
  readonly logprob?: number;
  readonly bytes: number[] | null;
  readonly top_logprobs: { readonly token: string; readonly logprob: number; readonly bytes: number[] | null }[];
  readonly uncertainty?: Told;
}

/** Of an ensemble of moved weights: entropies in nats, and the probability of this token by their mean. */
export interface Told {
  readonly probability: number;
  /** Of the mean prediction. */
  readonly total: number;
  /** What of that the members disagree about. */
  readonly information: number;
  /** Members that think so, where not all do: the others' texts have parted from this one before. */
  readonly members?: number;
}

/** The bytes of a text; null for a part of a character. */
const bytesOf = (text: string): number[] | null => (text.includes("\ufffd") ? null : [...Buffer.from(text)]);

/** Tells the tokens of one text, each after those before it. */
export class Teller {
  private readonly preceding: number[];

  constructor(
    private readonly writer: Writer,
    prompt: readonly number[],
  ) {
    this.preceding = prompt.slice(-8);
  }

  tell({ token, logProbability, top = [] }: WrittenToken, uncertain?: Uncertain): ToldToken {
    const named = (one: number) => {
      const text = this.writer.textOf(one, this.preceding);
      return { token: text, bytes: bytesOf(text) };
    };
    const told = {
      ...named(token),
      ...(logProbability !== undefined && { logprob: finite(logProbability) }),
      top_logprobs: top.map((one) => ({ ...named(one.token), logprob: finite(one.logProbability) })),
    };
    this.preceding.push(token);
    this.preceding.shift();
    if (uncertain === undefined) return told;
    const { probability, total, information, members } = uncertain;
    return { ...told, uncertainty: { probability, total, information, ...(members !== undefined && { members }) } };
  }
}

/** OpenAI's stand-in for minus infinity, which JSON has not. */
const IMPOSSIBLE = -9999;
const finite = (value: number): number => (Number.isFinite(value) ? value : IMPOSSIBLE);

/** The tokens of a whole answer, without those of a stop string that it does not show. */
export function toldOf(answer: Answer, prompt: readonly number[], writer: Writer): ToldToken[] {
  const teller = new Teller(writer, prompt);
  const all = answer.ids.map((token, i) => teller.tell(answer.logprobs?.[i] ?? { token }, answer.uncertain?.[i]));
  if (answer.stop !== "stop") return all;
  let letters = 0;
  return all.filter(({ token }) => {
    const shown = letters < answer.text.length;
    letters += token.length;
    return shown;
  });
}

/** Why an answer ended, in the protocol's words. */
export const finishOf = ({ stop }: Answer): "stop" | "length" => (stop === "eos" || stop === "stop" ? "stop" : "length");
