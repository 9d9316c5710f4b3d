// A text whose words are underlined where an ensemble of moved weights disagrees about them more than it does elsewhere in the text.

import chalk from "chalk";

/** Mutual information in units of the text's mean, from which on a token is underlined, and from which on in colour. */
export const DISAGREEMENT = { more: 1.5, much: 2.5 };

interface Token {
  readonly text: string;
  /** Nats. */
  readonly information: number;
}

/** The text of the tokens; only words are underlined, not the space between them. Plain where there are no colours, or members agree. */
export function underlined(tokens: readonly Token[]): string {
  const mean = tokens.reduce((sum, { information }) => sum + information, 0) / tokens.length;
  return tokens
    .map(({ text, information }) => {
      if (information === 0 || information < DISAGREEMENT.more * mean) return text;
      const style = information < DISAGREEMENT.much * mean ? chalk.underline : chalk.yellow.underline;
      return text.replace(/\S+/g, (word) => style(word));
    })
    .join("");
}

/** What the underlining means, for those who see it and for those who do not. */
export function legend(): string {
  const { more, much } = DISAGREEMENT;
  if (chalk.level === 0)
    return "Nothing is underlined here, since this output has no colours (FORCE_COLOR=1 lets it); --json has the numbers.";
  const less = chalk.underline("underlined");
  const most = chalk.yellow.underline("yellow");
  return `Legend: ${less}: members disagree about the token ${more} times as much as on average or more; ${most}: ${much} times; plain: less.`;
}
