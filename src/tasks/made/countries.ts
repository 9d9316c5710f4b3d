// Facts of countries, from the data of the npm package world-countries (ODbL): capital, region, currency and neighbours of every member of the United
// Nations. Questions are made, not shipped: the text is the package's countries.json.

import { BrownianError } from "../../errors.js";
import { asked, type Line, type Maker } from "./made.js";

interface Country {
  readonly name: { readonly common: string; readonly official: string };
  readonly cca3: string;
  readonly unMember: boolean;
  readonly currencies: Readonly<Record<string, { readonly name: string }>>;
  readonly capital: readonly string[];
  readonly altSpellings: readonly string[];
  readonly region: string;
  readonly borders: readonly string[];
}

/** What regions are also called. */
const REGIONS: Readonly<Record<string, readonly string[]>> = {
  Americas: ["America", "North America", "South America", "Central America", "the Caribbean"],
  Oceania: ["Australia", "the Pacific"],
};

export const countries: Maker = {
  summary: "capitals, regions, currencies and neighbours of the United Nations' members",
  needs: "countries.json of the npm package world-countries",
  make(dice, { questions, text = "", chat }) {
    const all = read(text);
    const byCode = new Map(all.map((country) => [country.cca3, country]));
    const lines = all
      .filter((country) => country.unMember)
      .flatMap((country) => {
        const of = country.name.common;
        const ask = (kind: string, request: string, answers: readonly string[]): Line[] =>
          answers.length === 0
            ? []
            : [
                {
                  ...asked(chat, `${request} Answer with the name only.`, `Question: ${request}\nAnswer:`),
                  answer: unique(answers),
                  kind,
                },
              ];
        return [
          ...ask("capital", `What is the capital of ${of}?`, country.capital.flatMap(spellings)),
          ...ask("region", `Which continent is ${of} in?`, [country.region, ...(REGIONS[country.region] ?? [])]),
          ...ask("currency", `What is the currency of ${of}?`, Object.entries(country.currencies).flatMap(currencies)),
          ...ask(
            "neighbour",
            `Name a country that borders ${of}.`,
            country.borders.flatMap((code) => namesOf(byCode.get(code))),
          ),
        ];
      });
    return questions < lines.length ? dice.shuffled(lines).slice(0, questions) : lines;
  },
};

function read(text: string): Country[] {
  try {
    const all = JSON.parse(text) as Country[];
    if (all.every(({ name, capital, borders }) => name.common !== "" && capital.length >= 0 && borders.length >= 0)) return all;
  } catch {
    // said below
  }
  throw new BrownianError("usage", "The text is not countries.json of the npm package world-countries: name that file.");
}

const unique = (names: readonly string[]): string[] => [...new Set(names)];

/** "Washington D.C." is Washington, too; "City of San Marino" is San Marino. */
function spellings(capital: string): string[] {
  return [capital, capital.replace(/,? D\.C\.$/, ""), capital.replace(/^City of /, ""), capital.replace(/^St\. /, "Saint ")];
}

/** "Euro", and the noun alone: "dollar" for the Australian one. */
function currencies([code, { name }]: [string, { readonly name: string }]): string[] {
  return [name, ...name.split(" ").slice(-1), code];
}

/** Alternative spellings but for codes of two letters, which are words. */
function namesOf(country: Country | undefined): string[] {
  if (country === undefined) return [];
  return [country.name.common, country.name.official, ...country.altSpellings.filter((name) => name.length > 3)];
}
