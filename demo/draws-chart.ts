// The next tokens of both columns as bars back to back: one square a draw. Rows are a table, so that it can be read without looking.

import type { ColumnName, Likely } from "./protocol.js";

/** Tokens with a row of their own; the others share the last one. */
const ROWS = 8;

interface Row {
  readonly element: HTMLTableRowElement;
  readonly label: HTMLElement;
  readonly bars: Record<ColumnName, HTMLElement>;
  readonly mark: HTMLElement;
}

/** Draws of one token, and its exact probability at the output where that is known. */
interface Tally {
  readonly token: string | undefined;
  readonly counts: Record<ColumnName, number>;
  readonly probability: number;
}

export class DrawsChart {
  private readonly rows: Row[];
  private law: readonly Likely[] = [];
  private readonly drawn: Record<ColumnName, string[]> = { softmax: [], weights: [] };

  /** @param draws so many make the probability of a token the number that it is to be drawn */
  constructor(
    body: HTMLTableSectionElement,
    private readonly draws: number,
  ) {
    this.rows = Array.from({ length: ROWS + 1 }, () => newRow(body));
    this.show();
  }

  /** Forgets a column's draws, and with the dice's their law. */
  clear(column: ColumnName): void {
    this.drawn[column] = [];
    if (column === "softmax") this.law = [];
    this.show();
  }

  add(column: ColumnName, token: string): void {
    this.drawn[column].push(token);
    this.show();
  }

  setLaw(law: readonly Likely[]): void {
    this.law = law;
    this.show();
  }

  /** How many draws are not the token that the resting model thinks likeliest; undefined while that is not known. */
  strayed(column: ColumnName): number | undefined {
    const favourite = this.law[0]?.token;
    if (favourite === undefined) return undefined;
    return this.drawn[column].filter((token) => token !== favourite).length;
  }

  private show(): void {
    const tallies = this.tallies();
    const named = tallies.slice(0, ROWS);
    const rest = tallies.slice(ROWS);
    const others: Tally = {
      token: undefined,
      counts: { softmax: sum(rest, (t) => t.counts.softmax), weights: sum(rest, (t) => t.counts.weights) },
      probability: this.law.length === 0 ? 0 : Math.max(0, 1 - sum(named, (t) => t.probability)),
    };
    this.rows.forEach((row, i) => {
      fill(row, i === ROWS ? others : named[i]);
    });
  }

  /** Most common first; ties in the order of softmax's law, then of their first draw. */
  private tallies(): Tally[] {
    const probabilities = new Map(this.law.map(({ token, probability }) => [token, probability]));
    const tokens = new Set([...probabilities.keys(), ...this.drawn.softmax, ...this.drawn.weights]);
    const count = (column: ColumnName, token: string) => this.drawn[column].filter((drawn) => drawn === token).length;
    const tallies = Array.from(tokens, (token) => ({
      token,
      counts: { softmax: count("softmax", token), weights: count("weights", token) },
      probability: probabilities.get(token) ?? 0,
    }));
    const size = ({ counts, probability }: Tally) => counts.softmax + counts.weights + probability * this.draws;
    return tallies.sort((a, b) => size(b) - size(a));
  }
}

function newRow(body: HTMLTableSectionElement): Row {
  const element = body.insertRow();
  const bar = (column: ColumnName) => {
    const cell = element.insertCell();
    cell.className = column;
    const made = document.createElement("span");
    made.className = "bar";
    const number = document.createElement("span");
    number.className = "unseen";
    made.append(number);
    cell.append(made);
    return { cell, made };
  };
  const softmax = bar("softmax");
  const label = document.createElement("th");
  label.scope = "row";
  element.append(label);
  const weights = bar("weights");
  const mark = document.createElement("span");
  mark.className = "mark";
  softmax.cell.append(mark);
  return { element, label, bars: { softmax: softmax.made, weights: weights.made }, mark };
}

function fill(row: Row, tally: Tally | undefined): void {
  row.element.classList.toggle("empty", tally === undefined);
  row.label.replaceChildren(...(tally === undefined ? ["\u00a0"] : labelOf(tally.token)));
  for (const [column, bar] of Object.entries(row.bars) as [ColumnName, HTMLElement][]) {
    const count = tally?.counts[column] ?? 0;
    bar.style.setProperty("--count", String(count));
    (bar.firstChild as HTMLElement).textContent = String(count);
  }
  const probability = tally?.probability ?? 0;
  row.mark.hidden = probability < 0.002;
  row.mark.style.setProperty("--share", String(probability));
  row.mark.title = `${(100 * probability).toFixed(1)} %`;
}

/** A token as it can be seen: spaces and line ends are part of it. */
function labelOf(token: string | undefined): Node[] {
  const quiet = (text: string) => {
    const made = document.createElement("span");
    made.className = "quiet";
    made.textContent = text;
    return made;
  };
  if (token === undefined) return [quiet("others")];
  if (token === "") return [quiet("end of text")];
  return token.split(/([ \n])/).flatMap((part): Node[] => {
    if (part === "") return [];
    return part === " " ? [quiet("␣")] : part === "\n" ? [quiet("⏎")] : [document.createTextNode(part)];
  });
}

const sum = <T>(items: readonly T[], of: (item: T) => number) => items.reduce((total, item) => total + of(item), 0);
