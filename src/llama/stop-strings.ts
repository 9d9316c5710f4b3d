// Strings that end a text: found across the borders of pieces, and never shown, not even their beginnings.

export class StopStrings {
  /** What may be the beginning of one. */
  private held = "";
  private stopped: string | undefined;

  /** @param strings not empty ones */
  constructor(private readonly strings: readonly string[]) {}

  /** The one that ended the text. */
  get found(): string | undefined {
    return this.stopped;
  }

  /** What may be shown now that `piece` has come. Of several strings the one that is complete first ends the text, the longest of these. */
  push(piece: string): string {
    if (this.stopped !== undefined) return "";
    const text = this.held + piece;
    const first = this.first(text);
    this.stopped = first?.string;
    const end = first?.start ?? text.length - this.beginning(text);
    this.held = first === undefined ? text.slice(end) : "";
    return text.slice(0, end);
  }

  /** What was held back at the end. */
  flush(): string {
    const rest = this.held;
    this.held = "";
    return rest;
  }

  private first(text: string): { readonly string: string; readonly start: number } | undefined {
    let best: { string: string; start: number; end: number } | undefined;
    for (const string of this.strings) {
      const start = text.indexOf(string);
      const end = start + string.length;
      if (start < 0 || (best !== undefined && (end > best.end || (end === best.end && start >= best.start)))) continue;
      best = { string, start, end };
    }
    return best;
  }

  /** How much of the text's end begins one of the strings. */
  private beginning(text: string): number {
    let most = 0;
    for (const string of this.strings)
      for (let n = Math.min(string.length - 1, text.length); n > most; n--) if (text.endsWith(string.slice(0, n))) most = n;
    return most;
  }
}
