// Words that do not exist, to be said again in their order.

import { asked, different, type Line, type Maker, madeUpWord } from "./made.js";

export const copying: Maker = {
  summary: "made-up words, to be said again in their order",
  make(dice, { questions, chat }) {
    return different(questions, (): Line => {
      const count = 2 + dice.roll(4);
      const words = Array.from({ length: count }, () => madeUpWord(dice, 2)).join(" ");
      return {
        ...asked(chat, `Repeat exactly: ${words}`, `red king: red king\nold house by sea: old house by sea\n${words}:`),
        answer: words,
        match: chat ? "contains" : "exact",
        kind: `${count} words`,
      };
    });
  },
};
