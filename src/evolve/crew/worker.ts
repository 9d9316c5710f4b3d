// A reader elsewhere: it holds the base, goes along with the centre by the log, and reads the members that it is given.

import { engineNamed } from "../../engine/index.js";
import { BrownianError } from "../../errors.js";
import { identity } from "../../files/identity.js";
import { Session } from "../../llama/session.js";
import { type Ascent, EvolvingCodes } from "../codes.js";
import { Leash } from "../measure.js";
import { isLikelihood, Judged, LIKELIHOODS, Likelihood } from "../rewards.js";
import { noiseFor } from "../search-noise.js";
import type { MemberReading, MemberWork, Running } from "./crew.js";
import { checkMachine, checkWorker, sumsOf } from "./machine.js";
import { type Reading, readMember } from "./reading.js";

/** What a worker is told where it runs, and not by the search. */
export interface WorkerPlace {
  readonly threads?: number | undefined;
  /** Folder of the copies that move. */
  readonly scratch?: string | undefined;
  /** Jinja in the place of the model's own chat template. */
  readonly chatTemplate?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How the centre went on in generations [from, to), all of them: waits until they are there. */
export type LogOf = (from: number, to: number) => Promise<readonly Ascent[]>;

export class EvolveWorker {
  /**
   * Loads the model as the search says.
   * @throws BrownianError usage where base, version, engine, instruction set, threads, chat template or sums are not the search's; as loadModel
   */
  static async open(path: string, running: Running, place: WorkerPlace): Promise<EvolveWorker> {
    const { reads, machine, moves } = running;
    const { scratch, chatTemplate, signal } = place;
    await checkWorker(running, await identity(path), place);
    const { contextSize, parallel } = reads;
    const repack = engineNamed().choosesRepacking ? "off" : "auto";
    const loading = { threads: machine.threads, contextSize, parallel, repack, scratch, chatTemplate, signal } as const;
    const session = await Session.open(path, loading, { oneCache: true });
    try {
      checkMachine({ sums: await sumsOf(session, reads.probe) }, machine);
      const places = { livePath: session.bath.livePath, scratch };
      const codes = await EvolvingCodes.open(session.bath.model, noiseFor(moves), places, moves);
      const leash = reads.windows.length > 0 ? await Leash.of(session, reads.windows) : undefined;
      const { kind } = reads;
      const reward = isLikelihood(kind)
        ? new Likelihood(session, LIKELIHOODS[kind])
        : new Judged(session, () => [], reads.maxTokens);
      return new EvolveWorker({ session, codes, reward, leash });
    } catch (error) {
      await session.dispose();
      throw error;
    }
  }

  /** Generations that its centre has had; undefined where one was left half done. */
  private taken: number | undefined = 0;

  private constructor(private readonly reading: Reading) {}

  /**
   * What the member answers; undefined where its generation is over: nobody waits for it.
   * @throws BrownianError closed where an earlier update failed
   */
  async read(work: MemberWork, log: LogOf, signal?: AbortSignal): Promise<MemberReading | undefined> {
    const { taken } = this;
    if (taken === undefined) throw new BrownianError("closed", "An update of this worker's model failed: start it again.");
    if (work.generation < taken) return undefined;
    if (work.generation > taken) {
      const ascents = await log(taken, work.generation);
      this.taken = undefined;
      for (const ascent of ascents) await this.reading.codes.ascend(ascent);
      this.taken = work.generation;
    }
    return readMember(this.reading, work, signal);
  }

  async close(): Promise<void> {
    await this.reading.codes.close();
    await this.reading.session.dispose();
  }
}
