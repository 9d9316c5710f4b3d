// Sums, differences and products of whole numbers of one or two digits.

import { asked, different, type Line, type Maker } from "./made.js";

const SIGNS = {
  "+": (a: number, b: number) => a + b,
  "-": (a: number, b: number) => a - b,
  "*": (a: number, b: number) => a * b,
};

export const arithmetic: Maker = {
  summary: "sums, differences and products of whole numbers",
  make(dice, { questions, chat }) {
    return different(questions, (): Line => {
      const sign = dice.pick(["+", "-", "*"] as const);
      const most = sign === "*" ? 12 : 50;
      const [x, y] = [1 + dice.roll(most), 1 + dice.roll(most)];
      const [a, b] = sign === "-" && x < y ? [y, x] : [x, y];
      const sum = `${a} ${sign} ${b}`;
      return {
        ...asked(chat, `What is ${sum}? Answer with the number only.`, `3 + 4 = 7\n9 - 5 = 4\n2 * 6 = 12\n${sum} =`),
        answer: String(SIGNS[sign](a, b)),
        match: "number",
        kind: sign,
      };
    });
  },
};
