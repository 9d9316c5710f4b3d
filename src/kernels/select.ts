// Chooses the backend once, when first asked: what the environment forces, else the first candidate that runs.
// Every step that failed is kept with its reason; a forced backend or ISA that cannot run throws. Knows nothing that only Node has.

import { BrownianError } from "../errors.js";
import { CANDIDATES, type Candidate } from "./candidates.js";
import type { Kernels } from "./contract.js";

/** A backend that was tried and not taken. */
export interface Rejected {
  readonly backend: Kernels["backend"];
  readonly isa?: string;
  readonly reason: string;
}

export interface Selection {
  readonly kernels: Kernels;
  readonly rejected: readonly Rejected[];
  /** The environment variables that decided, if any, as "NAME=value". */
  readonly forced: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

let selected: Selection | undefined;

/** Selects by the environment. Pure in its arguments, so that tests can ask for any. */
export function select(env: Environment): Selection {
  const { attempts, forced } = plan(env);
  const rejected: Rejected[] = [];
  for (const { candidate, isa } of attempts) {
    try {
      return { kernels: candidate.load(isa), rejected, forced };
    } catch (error) {
      rejected.push(rejection(candidate, isa, error));
    }
  }
  throw noneRuns(forced, rejected);
}

/** Like {@link select}, where WebAssembly is compiled without holding up the event loop. */
export async function selectAsync(env: Environment): Promise<Selection> {
  const { attempts, forced } = plan(env);
  const rejected: Rejected[] = [];
  for (const { candidate, isa } of attempts) {
    try {
      return { kernels: await (candidate.loadAsync ?? candidate.load)(isa), rejected, forced };
    } catch (error) {
      rejected.push(rejection(candidate, isa, error));
    }
  }
  throw noneRuns(forced, rejected);
}

/** What is to be tried, in order, and what forced it. */
function plan(env: Environment): { attempts: { candidate: Candidate; isa: string | undefined }[]; forced: string[] } {
  const backend = env.BROWNIAN_BACKEND?.toLowerCase() || undefined;
  const isa = env.BROWNIAN_ISA?.toLowerCase() || undefined;
  const forced: string[] = [];
  if (backend !== undefined) forced.push(`BROWNIAN_BACKEND=${backend}`);
  if (isa !== undefined) forced.push(`BROWNIAN_ISA=${isa}`);
  const wanted = CANDIDATES.filter(
    (c) => (backend === undefined || c.backend === backend) && (isa === undefined || c.isas.includes(isa)),
  );
  if (wanted.length === 0) {
    const known = CANDIDATES.map((c) => `${c.backend} (${c.isas.join(", ")})`).join("; ");
    throw new BrownianError("backend-unavailable", `${forced.join(" ")}: there is no such backend or ISA. There are: ${known}.`);
  }
  const attempts = wanted.flatMap((candidate) =>
    (isa === undefined ? candidate.attempts : [isa]).map((attempt) => ({ candidate, isa: attempt })),
  );
  return { attempts, forced };
}

function rejection({ backend }: Candidate, isa: string | undefined, error: unknown): Rejected {
  return { backend, ...(isa !== undefined && { isa }), reason: error instanceof Error ? error.message : String(error) };
}

function noneRuns(forced: readonly string[], rejected: readonly Rejected[]): BrownianError {
  const reasons = rejected.map((r) => `${r.backend}${r.isa ? ` ${r.isa}` : ""}: ${r.reason}`).join("\n  ");
  return new BrownianError("backend-unavailable", `${forced.join(" ")} was asked for, but cannot run here:\n  ${reasons}`);
}

/** A variable of the process's environment; none in a browser, nor in Deno where a program may not ask. */
export function setting(name: string): string | undefined {
  try {
    return globalThis.process?.env?.[name];
  } catch {
    return undefined;
  }
}

const environment = (): Environment => ({
  BROWNIAN_BACKEND: setting("BROWNIAN_BACKEND"),
  BROWNIAN_ISA: setting("BROWNIAN_ISA"),
});

/** The process's selection, made on first use and kept. */
export function selection(): Selection {
  selected ??= select(environment());
  return selected;
}

/** Makes the process's selection without holding up the event loop, unless it is made. */
export async function initSelection(): Promise<Selection> {
  if (selected === undefined) {
    const made = await selectAsync(environment());
    selected ??= made;
  }
  return selected;
}
