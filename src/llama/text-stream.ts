// From tokens to text, piece by piece: a character that is spread over several tokens is held back until it is whole, and no piece is
// ever taken back: prompt and pieces together are what the tokenizer makes of all tokens at once.

/** What of a detokenizer is needed: the text of tokens as it reads on after the preceding ones. */
export interface Detokenizer {
  text(tokens: readonly number[], preceding: readonly number[]): string;
}

/** What a decoder puts for bytes that are no character, or not yet one. */
const REPLACEMENT = "\u{fffd}";
/** Tokens of left context: enough for the tokenizer to know that it is not at the beginning of a text. */
const CONTEXT = 8;

export class TextStream {
  private preceding: readonly number[];
  /** Tokens since the text last ended with a whole character, and how much of their text is out already. */
  private pending: number[] = [];
  private given = 0;

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
    // Of several replacements at the end only the last can be the beginning of a character; those before it are broken for good.
    const whole = text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
    const piece = text.slice(this.given, whole);
    this.given = whole;
    if (whole === text.length) this.settle();
    return piece;
  }

  /** What was still held back at the end. */
  flush(): string {
    if (this.pending.length === 0) return "";
    const rest = this.detokenizer.text(this.pending, this.preceding).slice(this.given);
    this.settle();
    return rest;
  }

  private settle(): void {
    this.preceding = [...this.preceding, ...this.pending].slice(-CONTEXT);
    this.pending = [];
    this.given = 0;
  }
}
