// Strings that end a text: wherever the borders of pieces lie, the same is shown, and never the beginning of one.
import { describe, expect, it } from "vitest";
import { StopStrings } from "../../src/llama/stop-strings.js";

function shown(strings: readonly string[], pieces: readonly string[]) {
  const stops = new StopStrings(strings);
  const out: string[] = [];
  for (const piece of pieces) {
    out.push(stops.push(piece));
    if (stops.found !== undefined) break;
  }
  return { out: [...out, stops.flush()], found: stops.found };
}

/** All ways to cut a text into pieces. */
function cuts(text: string): string[][] {
  return Array.from({ length: 2 ** (text.length - 1) }, (_, mask) => {
    const pieces = [text[0] as string];
    for (let i = 1; i < text.length; i++) {
      if ((mask >> (i - 1)) & 1) pieces.push(text[i] as string);
      else pieces[pieces.length - 1] += text[i];
    }
    return pieces;
  });
}

describe("stop strings", () => {
  it.each([
    [["cab"], "abcacabx", "abca", "cab"],
    [["xyz"], "abcxy", "abcxy", undefined],
    [["aab"], "aaaab", "aa", "aab"],
    [["ab", "xabc"], "__xabc", "__x", "ab"], // complete first
    [["bc", "abc"], "__abc", "__", "abc"], // complete at once: the longer
    [[], "abc", "abc", undefined],
    [["a"], "abc", "", "a"],
    [["\n\n"], "a\n\n\nb", "a", "\n\n"],
  ])("%j in %j leave %j", (strings, text, left, found) => {
    for (const pieces of cuts(text)) {
      const { out, found: what } = shown(strings, pieces);
      expect([out.join(""), what], pieces.join("|")).toEqual([left, found]);
      // What is shown is never more than the text up to there less every beginning that could still be completed.
      if (found === undefined) continue;
      let sofar = "";
      for (const piece of out) {
        sofar += piece;
        expect(left.startsWith(sofar)).toBe(true);
      }
    }
  });

  it("hold back no more than they must", () => {
    expect(shown(["stop"], ["a", "s", "t", "a", "stopped"]).out).toEqual(["a", "", "", "sta", "", ""]);
  });
});
