// Reading a member: the live file becomes it, and answers. The same for a search that reads alone and for its workers.

import { NoNumbers } from "../../engine/index.js";
import type { Session } from "../../llama/session.js";
import type { EvolvingCodes } from "../codes.js";
import type { Leash } from "../measure.js";
import type { Reward } from "../rewards.js";
import type { MemberReading, MemberWork } from "./crew.js";

const finite = (x: number): number | null => (Number.isFinite(x) ? x : null);

/** Texts at once, at most. */
const MOST_AT_ONCE = 32;

/** How many texts an engine is to hold for questions so many at a time; one more reads other text. */
export const parallelFor = (batch: number): number => Math.min(MOST_AT_ONCE, batch) + 1;

/** What a reader needs. */
export interface Reading {
  readonly session: Session;
  readonly codes: EvolvingCodes;
  readonly reward: Pick<Reward, "said">;
  /** Where members need a KL. */
  readonly leash: Leash | undefined;
}

/** What this member answers. */
export async function readMember(
  { session, codes, reward, leash }: Reading,
  { tick, member, questions }: MemberWork,
  signal?: AbortSignal,
): Promise<MemberReading> {
  signal?.throwIfAborted();
  await session.alone(() => codes.be(tick, member));
  try {
    const answers = await reward.said(questions, signal);
    const kl = leash === undefined ? undefined : finite((await leash.read(signal)).kl);
    return { answers, kl };
  } catch (error) {
    if (error instanceof NoNumbers) return { answers: null }; // the member went too far
    throw error;
  }
}
