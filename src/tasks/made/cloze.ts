// The next word of a text, from the words before it: what every language model can be asked, also one that answers no questions (as in LAMBADA,
// Paperno et al. 2016, but for any word).

import { BrownianError } from "../../errors.js";
import { wordsOf } from "../answers.js";
import type { Line, Maker } from "./made.js";

/** Words before the one that is asked for. */
const BEFORE = 24;

export const cloze: Maker = {
  summary: "the next word of a text",
  needs: "a text of some hundred words",
  make(dice, { questions, text = "" }) {
    const words = text.split(/\s+/).filter((word) => word !== "");
    const places = words.flatMap((word, i) =>
      i >= BEFORE && wordsOf(word).length === 1 && /^\p{L}+$/u.test(wordsOf(word)[0] as string) ? [i] : [],
    );
    if (places.length < questions)
      throw new BrownianError(
        "usage",
        `The text has ${places.length} words to be asked for, but ${questions} are wanted: give a longer one.`,
      );
    return dice
      .shuffled(places)
      .slice(0, questions)
      .sort((a, b) => a - b)
      .map((i): Line => {
        const word = wordsOf(words[i] as string)[0] as string;
        return {
          prompt: words.slice(i - BEFORE, i).join(" "),
          answer: word,
          match: "begins",
          kind: word.length > 3 ? "long words" : "short words",
        };
      });
  },
};
