// From tokens to text, piece by piece: a character that is spread over several tokens is held back until it is whole.

/** What of a detokenizer is needed: the text of tokens as it reads on after the preceding ones. */
export interface Detokenizer {
  text(tokens: readonly number[], preceding: readonly number[]): string;
}

const REPLACEMENT = "\u{fffd}";
/** Tokens of left context: enough for the tokenizer to know that it is not at the beginning of a text. */
const CONTEXT = 8;
/** A character has at most four bytes: after so many tokens of one byte each, what is broken stays broken. */
const LONGEST = 4;

export class TextStream {
  private preceding: number[];
  private pending: number[] = [];

  constructor(
    private readonly detokenizer: Detokenizer,
    prompt: readonly number[],
  ) {
    this.preceding = prompt.slice(-CONTEXT);
  }

  /** The text that this token completes; empty while a character is incomplete. */
  push(token: number): string {
    this.pending.push(token);
    const text = this.detokenizer.text(this.pending, this.preceding);
    if (text.endsWith(REPLACEMENT) && this.pending.length < LONGEST) return "";
    return this.taken(text);
  }

  /** What was still held back at the end. */
  flush(): string {
    return this.pending.length === 0 ? "" : this.taken(this.detokenizer.text(this.pending, this.preceding));
  }

  private taken(text: string): string {
    this.preceding = [...this.preceding, ...this.pending].slice(-CONTEXT);
    this.pending = [];
    return text;
  }
}
