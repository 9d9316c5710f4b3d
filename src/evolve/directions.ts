// Who reads candidates of a search in adapters: each is a scale for every direction of a fixed dictionary (members 0 to K - 1 of a seed). Our own engine
// loads what they add up to; llama-server has all of them, and takes the scales with each request. No weight is written.

import type { AdapterManifest, ServedMessage } from "../adapters/index.js";
import type { Members } from "../adapters/members.js";
import { Mixture } from "../adapters/mixture.js";
import { PROTOCOLS, Server } from "../adapters/servers/index.js";
import { askOpenAi } from "../adapters/servers/openai.js";
import { spread } from "../adapters/spread.js";
import { adapterFile, writeAdapterFile } from "../adapters/write.js";
import { type Adapter, type Engine, NoNumbers } from "../engine/index.js";
import { BrownianError } from "../errors.js";
import { withScratchFile } from "../files/index.js";
import type { Session } from "../llama/session.js";
import type { MemberReading } from "./crew/crew.js";
import type { Leash } from "./measure.js";
import type { Reward } from "./rewards.js";
import type { Question } from "./task.js";

/** Scales of all directions, in units of sigma. */
export type Scales = readonly number[] | Float64Array;

export interface Reader {
  /** What the model says to these questions with each of these mixtures. */
  read(mixtures: readonly Scales[], questions: readonly Question[], signal?: AbortSignal): Promise<readonly MemberReading[]>;
  close(): Promise<void>;
}

const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);

/** An engine that exchanges adapters. */
type Exchanging = Engine & Required<Pick<Engine, "loadAdapter" | "adapt">>;

/**
 * Our own engine: it loads each mixture as one adapter, of all directions' ranks. Adding one is two products a matrix; adding K took 2 K, most of whose
 * time was their number.
 */
export class OwnReader implements Reader {
  /** @throws BrownianError usage where the engine exchanges no adapters */
  static open(session: Session, members: Members, reward: Reward, scratch: string | undefined): OwnReader {
    const { engine } = session;
    if (engine.loadAdapter === undefined || engine.adapt === undefined)
      throw new BrownianError(
        "usage",
        "A search in adapters needs the engine llama-c: brownian info says why it does not run here.",
      );
    return new OwnReader(session, engine as Exchanging, members, reward, scratch);
  }

  /** Where members need a KL. */
  leash: Leash | undefined;
  private present: Adapter | undefined;

  private constructor(
    private readonly session: Session,
    private readonly engine: Exchanging,
    private readonly members: Members,
    private readonly reward: Reward,
    private readonly scratch: string | undefined,
  ) {}

  /** The weights become this mixture; without scales, the model's own. */
  async be(scales: Scales = []): Promise<void> {
    const mixed = scales.length === 0 ? undefined : await this.mixed(scales);
    try {
      await this.session.alone(async () => this.engine.adapt(mixed === undefined ? [] : [mixed], mixed === undefined ? [] : [1]));
    } catch (error) {
      mixed?.free();
      throw error;
    }
    this.present?.free();
    this.present = mixed;
  }

  private mixed(scales: Scales): Promise<Adapter> {
    const { engine, members, scratch } = this;
    return withScratchFile(
      scratch,
      "mixture",
      (path) => writeAdapterFile(path, adapterFile(new Mixture(members, [...scales]), 0, 1)),
      (path) => engine.loadAdapter(path),
    );
  }

  async read(
    mixtures: readonly Scales[],
    questions: readonly Question[],
    signal?: AbortSignal,
  ): Promise<readonly MemberReading[]> {
    const readings: MemberReading[] = [];
    for (const scales of mixtures) {
      signal?.throwIfAborted();
      await this.be(scales);
      readings.push(await this.readOne(questions, signal));
    }
    return readings;
  }

  private async readOne(questions: readonly Question[], signal: AbortSignal | undefined): Promise<MemberReading> {
    try {
      const answers = await this.reward.said(questions, signal);
      return { answers, kl: this.leash === undefined ? undefined : finite((await this.leash.read(signal)).kl) };
    } catch (error) {
      if (error instanceof NoNumbers) return { answers: null };
      throw error;
    }
  }

  close(): Promise<void> {
    return this.be();
  }
}

/** How servers are asked. */
export interface Asking {
  readonly endpoints: readonly string[];
  /** The folder of directions as the servers see it. */
  readonly folder: string;
  readonly apiKey?: string | undefined;
  readonly concurrency: number;
  readonly deadline: number;
  readonly maxTokens: number;
}

/** Times that a question is asked again before a server counts as gone. */
const RETRIES = 2;

/** llama-servers that were started with all directions. One that is gone leaves its work to the others. */
export class ServedReader implements Reader {
  /** Those that were gone when they were last asked: they are asked again, but not waited for. */
  private readonly gone = new Set<Place>();

  /** @throws BrownianError usage where a server lacks a direction, or is no llama-server; endpoint-failed */
  static async open(manifest: AdapterManifest, asking: Asking, signal: AbortSignal | undefined): Promise<ServedReader> {
    const { endpoints, folder, apiKey, deadline } = asking;
    const protocol = PROTOCOLS["llama-server"];
    const files = manifest.members.filter(({ format }) => format === protocol.format);
    const served = files.map(({ path }) => ({ name: path, path: `${folder.replace(/[/\\]+$/, "")}/${path}` }));
    const places: Place[] = [];
    for (const url of endpoints) {
      const server = new Server(url, { apiKey, deadline });
      if (!(await protocol.knows(server, signal)))
        throw new BrownianError(
          "usage",
          `${url} is no llama-server: a search over scales needs a server that takes a scale for each adapter with each request.`,
        );
      const called = await protocol.load(server, served, "", signal);
      places.push({ server, called: called.map(Number) });
    }
    return new ServedReader(
      places,
      files.map(({ sigma }) => sigma),
      asking,
    );
  }

  private constructor(
    private readonly places: readonly Place[],
    private readonly sigmas: readonly number[],
    private readonly asking: Asking,
  ) {}

  async read(
    mixtures: readonly Scales[],
    questions: readonly Question[],
    signal?: AbortSignal,
  ): Promise<readonly MemberReading[]> {
    const tasks = mixtures.flatMap((scales) => questions.map((question) => ({ scales, question })));
    const { concurrency, maxTokens } = this.asking;
    const ask = async (
      { server, called }: Place,
      { scales, question }: (typeof tasks)[number],
      whole: AbortSignal,
    ): Promise<string> => {
      const lora = called.map((id, k) => ({ id, scale: (scales[k] ?? 0) / (this.sigmas[k] as number) }));
      const prompt = question.prompt as string | readonly ServedMessage[];
      const { text } = await askOpenAi(server, { prompt, maxTokens, temperature: 0 }, { lora, cache_prompt: false }, whole);
      return text;
    };
    const retries = (place: Place) => (this.gone.has(place) ? 0 : RETRIES);
    const { results, servers } = await spread(tasks, this.places, ask, { concurrency, retries, pause: 0.5, signal });
    for (const { place, gone, done } of servers) {
      if (gone !== undefined) this.gone.add(place);
      else if (done > 0) this.gone.delete(place);
    }
    return mixtures.map((_, i) => ({ answers: results.slice(i * questions.length, (i + 1) * questions.length) }));
  }

  async close(): Promise<void> {}
}

interface Place {
  readonly server: Server;
  /** Numbers of the directions there. */
  readonly called: readonly number[];
}
