// Writing many texts at once, under weights that all of them share, moving or at rest: every batch has a token of each. What prompts begin with alike
// is read once, and a prompt that comes again is not read again.

import type { Chooser, Sequence } from "../engine/index.js";
import { BrownianError, checkInteger, checkList, checkObject } from "../errors.js";
import type { Seed } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import { CARRIER, NOISE, noiseOf } from "../thermostat/noise.js";
import { isChat, type Prompt } from "./chat.js";
import { LogProbabilities } from "./log-probabilities.js";
import { SAMPLING, type SamplingOptions, samplingOf, stopsOf } from "./sampling.js";
import type { Session } from "./session.js";
import { StopStrings } from "./stop-strings.js";
import { TextStream } from "./text-stream.js";
import type { GenerateOptions, Generation } from "./write.js";

/** One of several texts: what it goes on from, and how its own tokens are chosen. */
export interface TextAsked extends SamplingOptions {
  /** What it goes on from. Equal ones, one after the other, are read once. */
  readonly prompt: Prompt;
  /** Of its dice; default 0. */
  readonly seed?: Seed | undefined;
}

/** What all of them share: the weights and how they move, and how long a text may be. */
export interface TogetherOptions
  extends Omit<
    GenerateOptions,
    keyof SamplingOptions | "pick" | "recompute" | "promptCache" | "promptWeights" | "onToken" | "seed" | "countChanges"
  > {
  /** Called with the number of each text that is done. */
  readonly onText?: ((index: number) => void) | undefined;
}

/** A text of several. */
export type TextWritten = Pick<Generation, "text" | "tokens" | "ids" | "stop" | "stopString" | "logprobs">;

const { seed: _, ...SHARED } = NOISE;
const NAMES: Names<TogetherOptions> = {
  ...SHARED,
  ...CARRIER,
  dynamics: true,
  tau: true,
  stride: true,
  logprobs: true,
  endless: true,
  noiseSeed: true,
  maxTokens: true,
  signal: true,
  onText: true,
};
const TEXT: Names<TextAsked> = { ...SAMPLING, prompt: true, seed: true };

/** {@link Model.completeAll}. */
export async function completeAll(
  session: Session,
  texts: readonly TextAsked[],
  options: TogetherOptions,
): Promise<TextWritten[]> {
  const { signal, onText } = checkOptions("completeAll", options, NAMES);
  const all = Array.from(checkList("texts", texts), (text) => checkOptions("A text", checkObject("A text", text), TEXT));
  for (const { prompt } of all) isChat(prompt); // refuses what is no prompt
  const most = checkInteger("maxTokens", options.maxTokens ?? 100, 1);
  const noise = noiseOf({ ...options, sigma: options.sigma ?? 0, seed: options.noiseSeed ?? 0 });
  if (all.length === 0) return [];
  return session.during(async () => {
    const written: TextWritten[] = [];
    const places = session.engine.sequences.length;
    for (let at = 0; at < all.length; at += places) {
      // At rest, the weights of the last group are those of this one.
      if (at === 0) await session.alone(() => session.prepare(noise, { signal }));
      else if (noise.dynamics.moves && !noise.off) await session.alone(() => session.start(signal));
      const keep = !noise.dynamics.moves || noise.off;
      const lines = all.slice(at, at + places).map((text, i) => new Line(session, text, i, { ...options, most }));
      try {
        await session.alone(() => read(session, lines, keep, signal));
        for (const line of lines) await session.alone(() => line.begin(signal));
        for (let tick = 0; ; tick++) {
          const open = lines.filter((line) => line.stop === undefined);
          if (open.length === 0) break;
          signal?.throwIfAborted();
          await session.alone(async () => {
            if (tick > 0 && !keep) await session.tick();
            await Promise.all(open.map((line) => line.next()));
          });
          for (const line of open) if (line.stop !== undefined) onText?.(at + line.place);
        }
        for (const line of lines) written.push(await session.alone(async () => line.done()));
      } finally {
        for (const line of lines) await line.end();
      }
    }
    return written;
  }, signal);
}

/** Lets the sequences have the prompts of their texts but the last token of each. */
async function read(session: Session, lines: readonly Line[], keep: boolean, signal: AbortSignal | undefined): Promise<void> {
  const { sequences } = session.engine;
  const sequence = (line: Line) => sequences[line.place] as Sequence;
  const [first] = lines as [Line];
  if (!keep) for (const one of sequences) await one.reset();
  const common = commonBeginning(lines.map(({ prompt }) => prompt));
  const held = common === 0 ? await forgotten(sequence(first)) : await sequence(first).keep(first.prompt.slice(0, common + 1));
  await sequence(first).read(first.prompt.slice(held, common), signal);
  // Each prompt once: by the first of those who have it.
  const readers = new Map<string, Line>();
  for (const line of lines) if (!readers.has(line.key)) readers.set(line.key, line);
  const given = async (line: Line, from: Line, length: number): Promise<number> => {
    if (line === from) return length;
    if (length > 0 && (await sequence(line).take(sequence(from)))) return length;
    return forgotten(sequence(line));
  };
  const begun = new Map<Line, number>();
  for (const line of readers.values()) begun.set(line, await given(line, first, common));
  await Promise.all([...begun].map(([line, at]) => sequence(line).read(line.prompt.slice(at, -1), signal)));
  for (const line of lines) {
    const reader = readers.get(line.key) as Line;
    const at = await given(line, reader, line.prompt.length - 1);
    if (at === 0) await sequence(line).read(line.prompt.slice(0, -1), signal);
  }
}

async function forgotten(sequence: Sequence): Promise<0> {
  await sequence.reset();
  return 0;
}

/** How many tokens all have in common, the last of each left out. */
function commonBeginning(prompts: readonly (readonly number[])[]): number {
  const [first = []] = prompts;
  let most = Math.min(...prompts.map(({ length }) => length)) - 1;
  for (const prompt of prompts) {
    let same = 0;
    while (same < most && prompt[same] === first[same]) same++;
    most = same;
  }
  return most;
}

/** One text while it is written. */
class Line {
  readonly prompt: readonly number[];
  /** Of prompts that are equal, equal. */
  readonly key: string;
  stop: Generation["stop"] | undefined;
  private readonly ids: number[] = [];
  private readonly stops: StopStrings;
  private readonly stream: TextStream;
  private readonly seen: LogProbabilities | undefined;
  private readonly sampling;
  private readonly room: number;
  private chooser: Chooser | undefined;
  private written: AsyncGenerator<number, unknown> | undefined;
  private text = "";

  constructor(
    private readonly session: Session,
    asked: TextAsked,
    readonly place: number,
    private readonly options: TogetherOptions & { readonly most: number },
  ) {
    const { engine } = session;
    this.prompt = session.promptTokens(asked.prompt);
    this.key = this.prompt.join();
    this.sampling = samplingOf({ ...asked, endless: options.endless }, engine);
    this.stops = new StopStrings(stopsOf(asked));
    this.stream = new TextStream(engine, this.prompt);
    this.seen = LogProbabilities.asked(options, engine.vocabulary);
    this.room = session.contextSize - this.prompt.length;
  }

  async begin(signal: AbortSignal | undefined): Promise<void> {
    const { engine } = this.session;
    this.chooser = await engine.chooser(this.sampling, this.prompt);
    const along = { chooser: this.chooser, signal, logits: this.seen?.logits };
    this.written = (engine.sequences[this.place] as Sequence).continue(this.prompt.slice(-1), this.sampling, along);
  }

  /** Writes one token; says why, if it was the last. */
  async next(): Promise<void> {
    const token = await (this.written as AsyncGenerator<number, unknown>).next();
    if (token.done) {
      this.stop = "eos";
      return;
    }
    this.ids.push(token.value as number);
    this.seen?.add(token.value as number);
    this.text += this.stops.push(this.stream.push(token.value as number));
    if (this.stops.found !== undefined) this.stop = "stop";
    else if (this.ids.length >= this.options.most) this.stop = "length";
    else if (this.ids.length >= this.room) this.stop = "context";
  }

  done(): TextWritten {
    if (this.stop === undefined) throw new BrownianError("engine-failed", "A text was not written to its end.");
    this.text += this.stops.push(this.stream.flush()) + this.stops.flush();
    const likely = this.seen === undefined ? {} : { logprobs: this.seen.all };
    const written = { text: this.text, tokens: this.ids.length, ids: this.ids, ...likely };
    const { found } = this.stops;
    return found === undefined ? { ...written, stop: this.stop } : { ...written, stop: "stop", stopString: found };
  }

  async end(): Promise<void> {
    await this.written?.return(undefined);
    this.chooser?.free();
  }
}
