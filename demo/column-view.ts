// One column of the page: its worker, and the text that it writes.

import type { DrawsChart } from "./draws-chart.js";
import type { ColumnName, FromColumn, Sample, ToColumn, Visit } from "./protocol.js";
import type { Settings } from "./settings.js";

export interface ColumnEvents {
  opened(weights: number, sample: Sample): void;
  /** "" when it is over. */
  failed(message: string): void;
  /** The text is written, and all draws are there. */
  done(): void;
}

export class ColumnView {
  private readonly worker: Worker;
  private readonly text: HTMLElement;
  private readonly given: HTMLElement;
  private readonly written: HTMLElement;
  private readonly note: HTMLElement;
  private run = 0;
  private weights = 0;
  private live = true;
  private opened = false;
  private moved: (FromColumn & { kind: "moved" }) | undefined;
  private drawSeconds: number[] = [];
  private writing = "";

  constructor(
    private readonly name: ColumnName,
    private readonly chart: DrawsChart,
    private readonly events: ColumnEvents,
    private readonly visit: Visit,
  ) {
    this.text = byId(`${name}-text`);
    this.given = this.text.querySelector(".given") as HTMLElement;
    this.written = this.text.querySelector(".written") as HTMLElement;
    this.note = byId(`${name}-note`);
    this.note.textContent = loading(0, 0);
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name });
    this.worker.onmessage = ({ data }: MessageEvent<FromColumn>) => this.hear(data);
    this.worker.onerror = ({ message }) =>
      events.failed(
        message === undefined
          ? "A part of this page (worker.js) could not be loaded: build the page again."
          : `A part of this page failed: ${message}. Load the page again.`,
      );
    const at = (file: string) => new URL(file, import.meta.url).href;
    this.say({ kind: "open", column: name, model: at("fairytales-3M-Q8_0.gguf"), engine: at("wllama.wasm"), visit });
  }

  /** Ends what is under way and begins anew. */
  write(settings: Settings): void {
    this.run++;
    this.events.failed("");
    this.chart.clear(this.name);
    this.drawSeconds = [];
    // What was said of the last run is not true of this one.
    if (this.opened) this.note.textContent = "Writing …";
    this.moved = undefined;
    this.given.textContent = settings.prompt;
    this.text.setAttribute("aria-busy", "true");
    this.text.classList.add("stale");
    this.say({ kind: "run", run: this.run, settings });
  }

  private say(message: ToColumn): void {
    this.worker.postMessage(message);
  }

  private hear(message: FromColumn): void {
    if ("run" in message && message.run !== this.run) return; // of an earlier run
    switch (message.kind) {
      case "fetching":
        this.note.textContent = loading(message.bytes, message.total);
        break;
      case "opened":
        this.weights = message.weights;
        this.live = message.live;
        this.opened = true;
        this.note.textContent = "Writing …";
        this.events.opened(message.weights, message.sample);
        break;
      case "law":
        this.chart.setLaw(message.law);
        break;
      case "draw":
        this.chart.add(this.name, message.token);
        this.drawSeconds.push(message.seconds);
        if (this.drawSeconds.length > 1) this.note.textContent = `Draw ${this.drawSeconds.length} of ${this.visit.draws} …`;
        break;
      case "moved":
        this.moved = message;
        break;
      case "text":
        this.renew();
        this.written.append(message.piece);
        break;
      case "written":
        this.renew();
        this.text.setAttribute("aria-busy", "false");
        this.text.classList.toggle("cut", !message.ended);
        this.writing = `${Math.round(message.tokens / message.seconds)} tokens a second`;
        break;
      case "drawn":
        this.showFacts();
        this.events.done();
        break;
      case "failed":
        this.note.textContent = "";
        this.events.failed(message.message);
        break;
    }
  }

  /** The text before goes when the new one begins. */
  private renew(): void {
    if (!this.text.classList.contains("stale")) return;
    this.text.classList.remove("stale");
    this.written.textContent = "";
  }

  private showFacts(): void {
    const perDraw = this.drawSeconds.reduce((sum, s) => sum + s, 0) / this.drawSeconds.length;
    const strayed = this.chart.strayed(this.name);
    const facts = [
      ...(strayed === undefined ? [] : [`${strayed} of ${this.visit.draws} draws stray from the likeliest token`]),
      `${Math.round(1000 * perDraw)} ms a draw`,
      this.writing,
    ];
    this.note.textContent = `${facts.join(", ")}.`;
    if (this.moved === undefined) return;
    const { changed, sha256 } = this.moved;
    this.note.append(` ${share(changed, this.weights)} of the weights moved`);
    if (!this.live) this.note.append(" (the engine loaded every moved model anew)");
    if (sha256 === "") return;
    const code = document.createElement("code");
    code.title = `SHA-256 of the moved model: ${sha256}`;
    code.textContent = sha256.slice(0, 12);
    this.note.append(", to the bytes ", code, ".");
  }
}

/** How far the model and its engine are fetched. @param total 0 where nobody knows */
function loading(bytes: number, total: number): string {
  const megabytes = (n: number) => (n / 1e6).toFixed(1);
  if (total === 0) return "Fetching the model and its engine …";
  if (bytes >= total) return "Starting the engine …";
  return `Fetching the model and its engine: ${megabytes(bytes)} of ${megabytes(total)} MB (${Math.floor((100 * bytes) / total)} %)`;
}

const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(part === 0 ? 0 : 1)} %`;

export function byId<E extends HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}
