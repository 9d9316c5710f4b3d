// What becomes of members on a server when the work is over: they are unloaded, and whoever asked is told which stay, and why.

import { BrownianError } from "../../errors.js";
import { ServerError } from "./http.js";

/** A member that is still loaded. */
export interface Stayed {
  /** What it is called there. */
  readonly called: string;
  /** Why the server keeps it. */
  readonly why: string;
}

/** What servers say of a name that they do not have: it is as good as unloaded. */
const UNKNOWN = /not (been )?(loaded|found)|cannot be found|does not exist/i;

/**
 * Unloads one after the other. A server that does not answer is not asked again: to wait for each of a hundred members would take hours.
 * @param one resolves to why it stays, if it does
 */
export async function unloadEach(
  called: readonly string[],
  one: (called: string) => Promise<string | undefined>,
): Promise<readonly Stayed[]> {
  const stayed: Stayed[] = [];
  let silent: string | undefined;
  for (const name of called) {
    const why = silent ?? (await one(name).catch((error: Error) => error));
    if (why instanceof Error && (!(why instanceof ServerError) || why.status === undefined)) silent = why.message;
    const said = why instanceof Error ? why.message : why;
    if (said !== undefined && !UNKNOWN.test(said)) stayed.push({ called: name, why: said });
  }
  return stayed;
}

const NAMED = 3;

/** The same in a sentence; empty where none stays. */
export function saidOf(url: string, stayed: readonly Stayed[]): string {
  const [first] = stayed;
  if (first === undefined) return "";
  const names = stayed.slice(0, NAMED).map(({ called }) => called);
  const all = stayed.length > NAMED ? `${names.join(", ")}, ... (${stayed.length} members)` : names.join(", ");
  return `${all} may still be loaded on ${url}: ${first.why}`;
}

/** An error, and what else there is to say where members stay loaded after it. */
export function andStayed(error: unknown, sentences: readonly string[]): unknown {
  const more = sentences.filter((sentence) => sentence !== "");
  if (more.length === 0 || !(error instanceof BrownianError)) return error;
  const message = `${error.message} Besides, ${more.join(" ")}`;
  if (error instanceof ServerError) return new ServerError(message, error.status, error.after, error);
  return new BrownianError(error.code, message, { cause: error });
}
