// Where a text is underlined: what its members disagree about more than elsewhere.
import chalk from "chalk";
import { afterAll, describe, expect, it } from "vitest";
import { legend, underlined } from "../../src/report/underline.js";

const level = chalk.level;
afterAll(() => {
  chalk.level = level;
});
const tokens = [
  { text: " Once", information: 0.01 },
  { text: " upon", information: 0.1 }, // 1.6 times the mean
  { text: " a\n", information: 0.2 }, // 3.2 times
  { text: "time", information: 0 },
  { text: ",", information: 0 },
];

describe("a text", () => {
  it("has words underlined, and coloured, not the space between them", () => {
    chalk.level = 1;
    expect(underlined(tokens)).toBe(" Once \u001b[4mupon\u001b[24m \u001b[33m\u001b[4ma\u001b[24m\u001b[39m\ntime,");
  });

  it("is plain without colours, where all agree, and where there is none", () => {
    chalk.level = 0;
    expect(underlined(tokens)).toBe(" Once upon a\ntime,");
    chalk.level = 1;
    expect(underlined(tokens.map(({ text }) => ({ text, information: 0 })))).toBe(" Once upon a\ntime,");
    expect(underlined([])).toBe("");
  });
});

it("has a legend, with colours and without", () => {
  const { level } = chalk;
  try {
    chalk.level = 1;
    expect(legend()).toMatch(/^Legend: .*underlined.*1\.5 times.*yellow.*2\.5 times/);
    chalk.level = 0;
    expect(legend()).toMatch(/^Nothing is underlined here, .*FORCE_COLOR=1.*--json/);
  } finally {
    chalk.level = level;
  }
});
