// What has happened so far, as Prometheus reads it (text format 0.0.4).

import type { ThermostatMemory } from "../thermostat/index.js";
import type { Places } from "./places.js";

const SECONDS = [0.1, 0.3, 1, 3, 10, 30, 100];

export class Metrics {
  private readonly requests = new Map<string, number>();
  private readonly buckets = SECONDS.map(() => 0);
  private seconds = 0;
  private texts = 0;
  promptTokens = 0;
  writtenTokens = 0;
  brokenOff = 0;

  /** @param route the pattern, not what a client wrote: names that clients make up would fill the memory */
  request(route: string, status: number): void {
    const key = `route="${route}",status="${status}"`;
    this.requests.set(key, (this.requests.get(key) ?? 0) + 1);
  }

  text(seconds: number): void {
    this.texts++;
    this.seconds += seconds;
    for (const [i, most] of SECONDS.entries()) if (seconds <= most) this.buckets[i] = (this.buckets[i] as number) + 1;
  }

  print(places: Places, moving?: ThermostatMemory): string {
    const lines: string[] = [];
    const metric = (name: string, kind: string, help: string, values: readonly (readonly [labels: string, value: number])[]) => {
      const [base] = name.split("{");
      lines.push(`# HELP brownian_${base} ${help}`, `# TYPE brownian_${base} ${kind}`);
      for (const [labels, value] of values) lines.push(`brownian_${name}${labels} ${value}`);
    };
    metric(
      "requests_total",
      "counter",
      "Requests by route and status.",
      [...this.requests].map(([key, n]) => [`{${key}}`, n]),
    );
    metric("prompt_tokens_total", "counter", "Tokens of prompts.", [["", this.promptTokens]]);
    metric("written_tokens_total", "counter", "Tokens of answers.", [["", this.writtenTokens]]);
    metric("broken_off_total", "counter", "Answers whose client went away.", [["", this.brokenOff]]);
    metric("texts_running", "gauge", "Texts that are written now.", [["", places.running]]);
    metric("texts_waiting", "gauge", "Texts that wait for a place.", [["", places.waiting]]);
    metric("text_seconds", "histogram", "Seconds from request to the end of the text.", [
      ...SECONDS.map((most, i) => [`_bucket{le="${most}"}`, this.buckets[i] as number] as const),
      [`_bucket{le="+Inf"}`, this.texts],
      ["_sum", this.seconds],
      ["_count", this.texts],
    ]);
    const { rss, heapUsed } = process.memoryUsage();
    metric("memory_bytes", "gauge", "Memory of the process; the mapped model is part of resident.", [
      ['{kind="resident"}', rss],
      ['{kind="heap"}', heapUsed],
    ]);
    if (moving !== undefined)
      metric(
        "live_bytes",
        "gauge",
        "What moving weights takes: the live copy (a file), and memory for its index, its journal, and ticks that are made ready.",
        (["file", "index", "journal", "ready"] as const).map((kind) => [`{kind="${kind}"}`, moving[kind]]),
      );
    return `${lines.join("\n")}\n`;
  }
}
