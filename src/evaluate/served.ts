// Servers as those that answer: llama-server, vLLM and their like, with draws of the weights as members of a folder. Flips are counted where a member,
// writing greedily, parts from the clean model's greedy answer; servers need not read given texts for that. Rests on the room adapters, which asks.

import { type Asked, type EnsembleOptions, ServerError, Upstream } from "../adapters/index.js";
import { BrownianError, checkInteger, checkList, checkNumber, checkText } from "../errors.js";
import type { FileIdentity } from "../files/identity.js";
import { stays } from "../llama/calibrate-endpoint.js";
import type { TextAsked } from "../llama/model.js";
import { seed64 } from "../noise/index.js";
import { checkOptions, type Names } from "../options.js";
import type { Question } from "../tasks/question.js";
import type { Half, Task } from "../tasks/task.js";
import { type Carried, type MethodName, methodOf } from "./methods.js";
import { noTokens } from "./reading.js";
import type { Answer, CleanReading, EvaluationSettings, Served } from "./records.js";
import type { AtRest, Draw, Reading, Respondent, Work, Writing } from "./respondent.js";
import { oneOf } from "./steps.js";

/** Which servers answer. */
export interface ServedMembersOptions
  extends Pick<
    EnsembleOptions,
    "endpoints" | "adapters" | "membersPath" | "protocol" | "concurrency" | "deadline" | "apiKey" | "signal"
  > {
  /** Called where a server counts as gone, with the reason: its work is left to the others. */
  readonly onGone?: ((url: string, why: string) => void) | undefined;
}

/** Servers with members, made by {@link servedMembers}. */
export interface ServedMembers {
  /** What they have. */
  readonly served: Served;
  /** Unloads what was loaded; resolves to a sentence for each server on which some stays. */
  close(): Promise<readonly string[]>;
}

const NAMES: Names<ServedMembersOptions> = {
  endpoints: true,
  adapters: true,
  membersPath: true,
  protocol: true,
  apiKey: true,
  deadline: true,
  signal: true,
  concurrency: true,
  onGone: true,
};

/** What servers tell of every place in a greedy answer: the most that vLLM gives unless told otherwise. */
const MOST_LIKELY = 20;
/** Above this temperature the tokens that servers do not tell would count. */
const HOTTEST = 1;
const DEFAULTS = { concurrency: 4, deadline: 120 };
const TRIES = { retries: 2, pause: 0.5 };
/** Servers take seeds of so many bits. */
const SEED_BITS = 31;

/**
 * Loads the members of a folder on servers, for `evaluate` to let them answer. Close it when all is done.
 *
 * @throws BrownianError usage (a server without them, no address), endpoint-failed, file-not-found (no manifest); the signal's reason
 * @example
 * const task = parseTask(makeTask("arithmetic", { questions: 100 }), "sums");
 * const served = await servedMembers({ endpoints: ["http://localhost:8080"], adapters: "members" });
 * const { points } = await evaluate(served, task, { levels: [0.5] });
 * await served.close();
 */
export async function servedMembers(options: ServedMembersOptions): Promise<ServedMembers> {
  const { concurrency, deadline, onGone, ...rest } = checkOptions("servedMembers", options, NAMES);
  for (const endpoint of checkList("endpoints", rest.endpoints)) checkText("endpoint", endpoint);
  const most = checkInteger("concurrency", concurrency ?? DEFAULTS.concurrency, 1, 1024);
  const seconds = checkNumber("deadline", deadline ?? DEFAULTS.deadline, 0.01, 86_400);
  return new Servers(await Upstream.open({ ...rest, deadline: seconds }), rest.adapters, most, onGone);
}

/** The same as one that answers. */
export class Servers implements Respondent, ServedMembers {
  readonly usual = ["members"] as const;
  readonly served: Served;

  constructor(
    private readonly upstream: Upstream,
    private readonly folder: string,
    private readonly concurrency: number,
    private readonly onGone: ServedMembersOptions["onGone"],
  ) {
    const { manifest, members, protocols } = upstream;
    const { seed, rank, antithetic, sigma } = manifest;
    const levels = protocols.every(({ scaled }) => scaled) ? null : sigma;
    this.served = { seed, rank, members, antithetic, levels, servers: protocols.map(({ name }) => name) };
  }

  /** The model that the members are of: its file is what servers are to have. */
  async identity(): Promise<FileIdentity> {
    const { file, bytes, sha256 } = this.upstream.manifest.model;
    return { file, bytes, sha256 };
  }

  lacks(name: MethodName): string | undefined {
    const { dynamics, served, minP = 0 } = methodOf(name);
    if (dynamics !== undefined && !served) return "needs our own engine: leave out the endpoints, or take members";
    const other = this.upstream.protocols.find((protocol) => protocol.dice(minP) === undefined);
    if (dynamics !== undefined || name === "greedy" || other === undefined) return undefined;
    return `is not what ${other.name} does: it cuts after the temperature, not before, or cannot be told`;
  }

  /** How many draws there are: members, then their mirror images where these belong to the folder. */
  private get draws(): number {
    return this.served.members * (this.served.antithetic ? 2 : 1);
  }

  check({ methods, samples, draws, sigmas, equal, levels, questions }: EvaluationSettings, task: Task): void {
    if (this.upstream.manifest.scale !== "rms")
      throw new BrownianError("usage", `Members of the scale rms are evaluated, these are of ${this.upstream.manifest.scale}.`);
    const wanted = Math.max(samples, draws);
    if (methods.includes("members") && wanted > this.draws)
      throw new BrownianError(
        "usage",
        `${this.folder} has ${this.draws} draws of the weights, not ${wanted}: write more (brownian adapter --members ${wanted}), or take fewer samples.`,
      );
    const { levels: own } = this.served;
    const strange = own === null ? undefined : sigmas.find((sigma) => !own.includes(sigma));
    if (strange !== undefined)
      throw new BrownianError(
        "usage",
        `${this.folder} has no files of sigma ${strange} (it has ${own?.join(", ")}), and a server takes no scale with a request: write them with brownian adapter --sigma.`,
      );
    const hot = levels.find((level) => level > HOTTEST);
    if (equal === "flips" && hot !== undefined)
      throw new BrownianError(
        "usage",
        `Servers tell the ${MOST_LIKELY} likeliest tokens, by which flips are known up to T = ${HOTTEST}, not ${hot}: give lower levels, or equal accuracy.`,
      );
    for (const number of [...questions.tuning, ...questions.test])
      if ((task.questions[number] as Question).choices !== undefined) this.checkChoices();
  }

  private checkChoices(): void {
    const loose = this.upstream.protocols.find((protocol) => protocol.kept({ grammar: "" }, false) === undefined);
    if (loose === undefined) return;
    throw new BrownianError(
      "usage",
      `${loose.name} cannot be told here to keep to choices: take llama-server, or questions without.`,
    );
  }

  /** Where servers have a file for each sigma, the nearest. */
  sigmaNear(sigma: number): number {
    const { levels } = this.served;
    if (levels === null) return sigma;
    return levels.reduce((best, one) => (Math.abs(one - sigma) < Math.abs(best - sigma) ? one : best));
  }

  async write(texts: readonly TextAsked[], draw: Draw | undefined, { maxTokens, tell, signal }: Writing): Promise<Answer[]> {
    const { members } = this.served;
    const sigma = draw?.dial.sigma ?? 0;
    const whose =
      draw === undefined
        ? { member: 0, sigma: 0 }
        : { member: draw.number % members, sigma: draw.number < members ? sigma : -sigma };
    const tasks = texts.map((text) => ({ ...this.asked(text, draw === undefined, maxTokens), ...whose }));
    const { concurrency, onGone, upstream } = this;
    const all = await upstream.askAll(tasks, { ...TRIES, concurrency, signal, onAnswer: tell, onGone });
    return all.map(({ text, tokens }, i): Answer => {
      const own = tokens ?? (text === "" ? [] : undefined);
      if (own === undefined)
        throw new ServerError("A server does not tell how likely the tokens of its answers are (logprobs): let it.", undefined);
      const logs = own.map(({ logProbability }) => logProbability);
      const answer = { text, tokens: own.length, logProbability: logs.reduce((a, b) => a + b, 0), least: Math.min(0, ...logs) };
      if (tasks[i]?.asked.temperature !== 0) return answer;
      const seen = own.map((token) => ({
        text: token.text,
        logProbability: token.logProbability,
        top: (token.top ?? []).map(({ logProbability }) => logProbability).sort((a, b) => b - a),
      }));
      return { ...answer, seen };
    });
  }

  /** @param looks whether servers are to tell the likeliest tokens, too */
  private asked({ prompt, seed, stop, temperature = 0, minP = 0, grammar }: TextAsked, looks: boolean, maxTokens: number) {
    const rolls = temperature > 0;
    const more = looks && !rolls ? { [typeof prompt === "string" ? "logprobs" : "top_logprobs"]: MOST_LIKELY } : {};
    const asked: Asked = {
      prompt: prompt as Asked["prompt"],
      maxTokens,
      temperature,
      ...(rolls ? { seed: Number(BigInt.asUintN(SEED_BITS, seed64(seed ?? 0))) } : {}),
      ...(stop === undefined ? {} : { stop: [stop].flat() }),
      ...(grammar === undefined ? {} : { shape: { grammar } }),
      more,
    };
    return { asked, minP: rolls ? minP : undefined };
  }

  reading(work: Work, half: Half, answers: readonly Answer[]): Reading {
    return new ServedReading(this, work, half, answers, this.draws);
  }

  close(): Promise<readonly string[]> {
    return this.upstream.close();
  }
}

type Seen = NonNullable<Answer["seen"]>;

class ServedReading implements Reading {
  private readonly seen: readonly Seen[];

  constructor(
    private readonly by: Servers,
    private readonly work: Work,
    private readonly half: Half,
    answers: readonly Answer[],
    private readonly draws: number,
  ) {
    this.seen = answers.map(({ seen = [] }) => seen);
  }

  clean(): Promise<readonly CleanReading[]> {
    const { levels } = this.work.settings;
    const readings = this.seen.map((tokens) => ({
      logProbabilities: tokens.map(({ logProbability }) => logProbability),
      entropies: tokens.map(({ top }) => entropyOf(top)),
      right: null, // servers are not asked for texts that they would not write
      rightAt: levels.map(() => null),
    }));
    return this.work.step(`read clean ${this.half}`, this.seen.length, async () => readings);
  }

  async atRest(): Promise<AtRest> {
    const { levels } = this.work.settings;
    if (this.seen.every(({ length }) => length === 0)) throw noTokens();
    if (this.seen.flat().some(({ top }) => top.length < 2))
      throw new ServerError(
        "A server does not tell which tokens were likeliest (top_logprobs), by which flips are known: take another, or --equal accuracy.",
        undefined,
      );
    const floor = Math.log(methodOf("min-p").minP as number);
    const cut = (top: readonly number[], temperature: number) =>
      1 /
      top.reduce((sum, l) => sum + (l - (top[0] as number) >= floor ? Math.exp((l - (top[0] as number)) / temperature) : 0), 0);
    const listed = (top: readonly number[]) => ({ top: top.map((logProbability) => ({ text: "", logProbability })) });
    return {
      softmax: levels.map((level) => this.partings(({ top }) => stays(listed(top), level))),
      minP: (temperature) => this.partings(({ top }) => cut(top, temperature)),
    };
  }

  /**
   * How often a text parts from the greedy answer, a token that it comes to: sum over tokens of what is left so far, times 1 - p(likeliest). A text that has
   * parted is compared no further, as members' are not.
   */
  private partings(p: (token: Seen[number]) => number): number {
    let [parted, compared] = [0, 0];
    for (const tokens of this.seen) {
      let left = 1;
      for (const token of tokens) {
        const stay = p(token);
        compared += left;
        parted += left * (1 - stay);
        left *= stay;
      }
    }
    return parted / compared;
  }

  moved(_: Carried, sigma: number, draw: number): Promise<number[]> {
    const { work, half, by } = this;
    const { settings, watch } = work;
    const questions = work.questions(half);
    return work.step(`flips members ${sigma} ${draw}`, questions.length, async (tell) => {
      const texts = questions.map(({ prompt, choices }) => ({
        prompt,
        stop: settings.stop,
        ...(choices === undefined ? {} : { grammar: oneOf(choices) }),
      }));
      // Those that are turned by are the last, so that where there are enough they are not those that answer.
      const number = this.draws - 1 - draw;
      const drawn = { method: "members", dial: { sigma }, tau: settings.tau, number, seed: 0n } as const;
      const all = await by.write(texts, drawn, { maxTokens: settings.maxTokens, tell, ...watch });
      let [parted, compared] = [0, 0];
      for (const [q, tokens] of this.seen.entries()) {
        const own = all[q]?.seen ?? [];
        const same = tokens.findIndex(({ text }, i) => own[i]?.text !== text);
        compared += same < 0 ? tokens.length : same + 1;
        parted += same < 0 ? 0 : 1;
      }
      return [parted / compared];
    });
  }
}

/** Of these tokens, and of all others as if they were one: no more than it is. */
function entropyOf(top: readonly number[]): number {
  const rest = Math.max(0, 1 - top.reduce((sum, l) => sum + Math.exp(l), 0));
  return -top.reduce((sum, l) => sum + Math.exp(l) * l, 0) - (rest > 0 ? rest * Math.log(rest) : 0);
}
