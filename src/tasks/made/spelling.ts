// Words that do not exist, to be spelled letter by letter.

import { asked, different, type Line, type Maker, madeUpWord } from "./made.js";

export const spelling: Maker = {
  summary: "made-up words, to be spelled letter by letter",
  make(dice, { questions, chat }) {
    return different(questions, (): Line => {
      const syllables = 2 + dice.roll(3);
      const word = madeUpWord(dice, syllables);
      const letters = [...word].join("-");
      const request = `Spell the word "${word}" letter by letter, with hyphens between the letters.`;
      return {
        ...asked(chat, request, `king: k-i-n-g\nhouse: h-o-u-s-e\n${word}:`),
        answer: `/(?<![\\w-])${letters}(?![\\w-])/`,
        kind: `${2 * syllables} letters`,
      };
    });
  },
};
