// Chooses the backend once, when first asked: what the environment forces, else the first candidate that runs.
// Every step that failed is kept with its reason; a forced backend or ISA that cannot run throws. Knows nothing that only Node has.

import { environment } from "../environment.js";
import { BrownianError } from "../errors.js";
import { CANDIDATES, type Candidate } from "./candidates.js";
import type { Kernels } from "./contract.js";

/** A backend that was tried and not taken. */
export interface Rejected {
  /** "native", "wasm" or "js". */
  readonly backend: Kernels["backend"];
  /** The instruction set that was tried, if a certain one was. */
  readonly isa?: string;
  /** Why it could not run, for people. */
  readonly reason: string;
}

export interface Selection {
  readonly kernels: Kernels;
  readonly rejected: readonly Rejected[];
  /** The environment variables that decided, if any, as "NAME=value". */
  readonly forced: readonly string[];
}

/** What is forced, by its name in any case of letters. */
export interface Forced {
  readonly backend?: string | undefined;
  readonly isa?: string | undefined;
}

let selected: Selection | undefined;

/** Selects by what is forced. Pure in its arguments, so that tests can ask for any. */
export function select(wanted: Forced): Selection {
  const { attempts, forced } = plan(wanted);
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
export async function selectAsync(wanted: Forced): Promise<Selection> {
  const { attempts, forced } = plan(wanted);
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
function plan(force: Forced): { attempts: { candidate: Candidate; isa: string | undefined }[]; forced: string[] } {
  const backend = force.backend?.toLowerCase() || undefined;
  const isa = force.isa?.toLowerCase() || undefined;
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

/** What the environment says. A number of threads that is none must not count as a reason against a backend. */
function checked(): Forced {
  void environment.threads;
  return environment;
}

/** The process's selection, made on first use and kept. */
export function selection(): Selection {
  selected ??= select(checked());
  return selected;
}

/** Makes the process's selection without holding up the event loop, unless it is made. */
export async function initSelection(): Promise<Selection> {
  if (selected === undefined) {
    const made = await selectAsync(checked());
    selected ??= made;
  }
  return selected;
}
