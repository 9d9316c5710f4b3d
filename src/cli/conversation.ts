// A conversation: what was said, and the dials of what is said next. It knows the model and its commands, and nothing of terminals.

import { randomInt } from "node:crypto";
import { BrownianError, checkInteger, checkNumber } from "../errors.js";
import type { GenerateOptions, Generation, Message, Model } from "../llama/index.js";
import { significant } from "../report/table.js";
import { legend, underlined } from "../report/underline.js";
import { DYNAMICS, type DynamicsName } from "../thermostat/dynamics/index.js";
import { costOf } from "./cost.js";

/** The dials, as they are turned between two answers. */
export interface Dials {
  readonly sigma: number;
  readonly temperature: number;
  readonly dynamics: DynamicsName;
  readonly tau?: number | undefined;
  readonly maxTokens: number;
  /** In GBNF, that every answer keeps to. */
  readonly grammar?: string | undefined;
}

/** Where a conversation is heard. */
export interface Ear {
  /** Of an answer, as it is written. */
  piece(text: string): void;
  /** A remark beside it. */
  remark(text: string): void;
}

/** Seeds that people can type. */
const SEEDS = 100_000;
/** Draws of the weights that read an answer, and their noise where the answer had none. */
const MEMBERS = 8;
const ENSEMBLE_SIGMA = 0.05;

const HELP: readonly (readonly [command: string, what: string])[] = [
  ["/sigma NUMBER", "noise on the weights; 0: none"],
  ["/temperature NUMBER", "of softmax; 0: always the likeliest token"],
  ["/dynamics NAME [TAU]", `how the noise evolves: ${Object.keys(DYNAMICS).join(", ")}`],
  ["/seed N", "of the next answer, and of those after it counting up"],
  ["/again", "the last answer once more, with another draw"],
  ["/why", "how sure moved weights are of the last answer, token by token"],
  ["/system TEXT", "how to answer; begins the conversation anew"],
  ["/new", "begins the conversation anew"],
  ["/dials", "how the dials stand"],
  ["/exit", "ends; so does Ctrl-D, or Ctrl-C twice"],
];

export class Conversation {
  private readonly messages: Message[] = [];
  private last: Generation | undefined;
  private seed: bigint;

  constructor(
    private readonly model: Model,
    private dials: Dials,
    private system: string | undefined,
    seed: bigint | undefined,
    private readonly ear: Ear,
  ) {
    this.seed = seed ?? BigInt(randomInt(SEEDS));
    // Refused before anybody has typed anything.
    model.tokens([...this.beginning(), { role: "user", content: "?" }]);
  }

  private beginning(): Message[] {
    return this.system === undefined ? [] : [{ role: "system", content: this.system }];
  }

  /** Hears a line: a command, or something to answer. Resolves to whether the conversation goes on. */
  async hear(line: string, signal: AbortSignal): Promise<boolean> {
    const text = line.trim();
    if (text === "") return true;
    if (!text.startsWith("/")) {
      const before = this.messages.length > 0 ? this.messages : this.beginning();
      await this.say([...before, { role: "user", content: text }], signal);
      return true;
    }
    const [name = "", ...rest] = text.slice(1).split(/\s+/);
    if (name === "exit" || name === "quit") return false;
    await this.command(name, rest, signal);
    return true;
  }

  private async command(name: string, rest: readonly string[], signal: AbortSignal): Promise<void> {
    const [argument = ""] = rest;
    switch (name) {
      case "sigma":
        return this.turn({ sigma: checkNumber("/sigma", asNumber(argument), 0, 1e6) });
      case "temperature":
        return this.turn({ temperature: checkNumber("/temperature", asNumber(argument), 0, 1e6) });
      case "dynamics":
        this.turn({ dynamics: argument as DynamicsName, tau: rest[1] === undefined ? undefined : asNumber(rest[1]) });
        return this.ear.remark(costOf(argument));
      case "seed":
        this.seed = BigInt(checkInteger("/seed", asNumber(argument), Number.MIN_SAFE_INTEGER));
        return this.ear.remark(`the next answer has seed ${this.seed}`);
      case "again":
        return this.again(signal);
      case "why":
        return this.why(signal);
      case "system":
        this.system = rest.join(" ");
        return this.anew();
      case "new":
        return this.anew();
      case "dials":
        return this.ear.remark(this.standing());
      case "help":
        return this.ear.remark(HELP.map(([command, what]) => `${command.padEnd(22)}${what}`).join("\n"));
      default:
        throw new BrownianError("usage", `There is no command /${name}: /help lists them.`);
    }
  }

  private turn(changed: Partial<Dials>): void {
    const dials = { ...this.dials, ...changed };
    this.model.check(optionsOf(dials, 0n));
    this.dials = dials;
    this.ear.remark(this.standing());
  }

  private standing(): string {
    const { sigma, temperature, dynamics, tau } = this.dials;
    const how =
      sigma === 0
        ? "weights at rest"
        : `σ = ${significant(sigma)}, ${dynamics}${tau === undefined ? "" : `(${significant(tau)})`}`;
    return `${how}, T = ${significant(temperature)}, next seed ${this.seed}`;
  }

  private anew(): void {
    this.messages.length = 0;
    this.last = undefined;
    this.ear.remark("a new conversation");
  }

  /** Answers what was said. What was broken off stays as far as it came; a question without any answer is forgotten. */
  private async say(messages: readonly Message[], signal: AbortSignal): Promise<void> {
    const { seed } = this;
    const pieces = this.model.generate(messages, { ...optionsOf(this.dials, seed), signal });
    let next = await pieces.next();
    for (; !next.done; next = await pieces.next()) this.ear.piece(next.value);
    const { text, stop, tokens, tokensPerSecond } = next.value;
    this.ear.piece("\n");
    this.seed = seed + 1n;
    const speed = tokens > 1 ? `, ${Math.round(tokensPerSecond)} tokens/s` : "";
    const cut = {
      aborted: ", broken off",
      length: ", as long as it may be",
      context: ", the context is full: /new",
      eos: "",
      stop: "",
    }[stop];
    this.ear.remark(`seed ${seed}${speed}${cut}`);
    if (text === "" && stop === "aborted") return;
    this.last = next.value;
    this.messages.splice(0, this.messages.length, ...messages, { role: "assistant", content: text });
  }

  /** Without the last answer. @throws BrownianError usage where there is none */
  private question(command: string): readonly Message[] {
    if (this.last === undefined) throw new BrownianError("usage", `${command} is about the last answer, and there is none yet.`);
    return this.messages.slice(0, -1);
  }

  private again(signal: AbortSignal): Promise<void> {
    const question = this.question("/again");
    const { sigma, temperature } = this.dials;
    if (sigma === 0 && temperature === 0)
      this.ear.remark("at σ = 0 and temperature 0 it is the same again: /sigma or /temperature");
    return this.say(question, signal);
  }

  private async why(signal: AbortSignal): Promise<void> {
    const question = this.question("/why");
    const { ids = [] } = this.last ?? {};
    const sigma = this.dials.sigma > 0 ? this.dials.sigma : ENSEMBLE_SIGMA;
    this.ear.remark(`${MEMBERS} draws of the weights read the answer; Ctrl-C ends that`);
    const options = { text: ids, maxTokens: ids.length, members: MEMBERS, sigma, seed: this.seed, signal };
    const { tokens, members } = await this.model.uncertainty(question, options);
    this.ear.piece(`${underlined(tokens)}\n`);
    const mean = (of: (token: (typeof tokens)[number]) => number) =>
      significant(tokens.reduce((sum, token) => sum + of(token), 0) / Math.max(1, tokens.length));
    this.ear.remark(
      `${members} draws at σ = ${significant(sigma)}: ${mean(({ total }) => total)} nats a token, of which ${mean(({ information }) => information)} are disagreement. ${legend()}`,
    );
  }
}

function optionsOf({ sigma, temperature, dynamics, tau, maxTokens, grammar }: Dials, seed: bigint): GenerateOptions {
  return { sigma, temperature, dynamics, tau, maxTokens, grammar, seed };
}

function asNumber(text: string): number {
  return text === "" ? Number.NaN : Number(text);
}
