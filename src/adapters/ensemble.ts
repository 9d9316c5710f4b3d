// The same question to several draws of the weights, on servers: which answers there are, how many members give each, and where in the text they
// part. Members lie where the servers find them; a server that is gone leaves its work to the others.

import { BrownianError, checkInteger, checkList, checkNumber, checkText } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { type AdapterManifest, type ManifestMember, readManifest } from "./manifest.js";
import {
  andStayed,
  PROTOCOLS,
  type Protocol,
  type ProtocolName,
  protocolOf,
  type ServedMessage,
  Server,
  type Stayed,
  saidOf,
} from "./servers/index.js";
import { type ServerWork, spread } from "./spread.js";

/** Which servers are asked, and with which members. */
export interface EnsembleOptions {
  /** Addresses of servers, such as http://localhost:8080; at least one. */
  readonly endpoints: readonly string[];
  /** The folder that `brownian adapter` wrote. */
  readonly adapters: string;
  /** The same folder as the servers see it; default: `adapters`. */
  readonly membersPath?: string | undefined;
  /** Draws of the weights that answer; default: all of the folder. */
  readonly members?: number | undefined;
  /** Noise on the weights; default: the largest of the folder. Where a server has no scales, the nearest that there is a file of. */
  readonly sigma?: number | undefined;
  /** Refuses a sigma that there is no file of, instead of taking the nearest. */
  readonly exact?: boolean | undefined;
  /** Each member's mirror image answers as well. */
  readonly antithetic?: boolean | undefined;
  /** What the servers speak; default: found out. */
  readonly protocol?: ProtocolName | undefined;
  /** Tokens of an answer at most; default 100. */
  readonly maxTokens?: number | undefined;
  /** Of softmax; default 0: greedy. */
  readonly temperature?: number | undefined;
  /** Of the dice, where there is a temperature. */
  readonly seed?: number | undefined;
  /** Answers end before these. */
  readonly stop?: readonly string[] | undefined;
  /** Requests to one server at a time; default 4. */
  readonly concurrency?: number | undefined;
  /** Tries that follow a failed one before a server counts as gone; default 2. */
  readonly retries?: number | undefined;
  /** Seconds before the first of these, doubled each time; default 0.5. */
  readonly pause?: number | undefined;
  /** Seconds that one request may take; default 120. */
  readonly deadline?: number | undefined;
  /** Sent to all servers. */
  readonly apiKey?: string | undefined;
  /** Members that were loaded for this stay on the servers. */
  readonly keep?: boolean | undefined;
  /** Ends it: what was loaded is unloaded. */
  readonly signal?: AbortSignal | undefined;
}

const NAMES: Names<EnsembleOptions> = {
  endpoints: true,
  adapters: true,
  membersPath: true,
  members: true,
  sigma: true,
  exact: true,
  antithetic: true,
  protocol: true,
  maxTokens: true,
  temperature: true,
  seed: true,
  stop: true,
  concurrency: true,
  retries: true,
  pause: true,
  deadline: true,
  apiKey: true,
  keep: true,
  signal: true,
};

/** A token of an answer. */
export interface AnsweredToken {
  /** As it reads on. */
  readonly text: string;
  /** ln p of it by the member that wrote it. */
  readonly logProbability: number;
}

/** What one member answered. */
export interface MemberAnswer {
  /** Its number. */
  readonly member: number;
  /** That it was asked with: where scales are fixed, the nearest that there was. Below 0: the mirror image. */
  readonly sigma: number;
  /** Which server wrote it. */
  readonly endpoint: string;
  /** The answer, or the continuation without the prompt. */
  readonly text: string;
  /** As servers say: "stop", "length". */
  readonly end: string;
  /** Its tokens and their ln p by this member, where the server tells. */
  readonly tokens?: readonly AnsweredToken[] | undefined;
}

/** An answer, and who gave it. */
export interface Vote {
  /** Without white space at its ends. */
  readonly text: string;
  /** How many gave it. */
  readonly count: number;
  /** Which; twice where its mirror image gave it, too. */
  readonly members: readonly number[];
}

/** A token of the answer that most members gave. */
export interface AgreedToken {
  /** As it reads on. */
  readonly text: string;
  /** Members whose answer is the same so far. */
  readonly members: number;
  /** The share of these that goes on with another token. */
  readonly disagreement: number;
  /** Of this token, by those that wrote it, on average (0 to 1). */
  readonly probability: number;
}

/** What an ensemble of members answered. */
export interface EnsembleAnswers {
  /** In the order of members. */
  readonly answers: readonly MemberAnswer[];
  /** The most common first. White space at the ends does not count. */
  readonly votes: readonly Vote[];
  /** The share of members that gave the most common answer, 0 to 1. */
  readonly agreement: number;
  /** Of the most common answer; none where servers tell no logprobs. */
  readonly tokens: readonly AgreedToken[];
  /** What the servers did; those that did not answer at the beginning are left out. */
  readonly endpoints: readonly {
    /** Its address. */
    readonly url: string;
    /** What it is, such as "vLLM". */
    readonly protocol: string;
    /** How many it gave. */
    readonly answers: number;
    /** Tries that failed. */
    readonly failures: number;
    /** Why it was given no more. */
    readonly gone?: string | undefined;
    /** Members that are still loaded there, though they were to be unloaded, and why; without `keep`, none. */
    readonly stayed: readonly Stayed[];
  }[];
}

/** A server with members loaded. */
interface Place {
  readonly server: Server;
  readonly protocol: Protocol;
  /** What a member is called there, by its place in the list. */
  readonly called: readonly string[];
  readonly tasks: readonly Sigma[];
}

/** With which sigma a member is asked, and by which of the server's files. */
interface Sigma {
  readonly member: number;
  readonly sigma: number;
  readonly file: number;
  readonly scale: number;
}

const DEFAULTS = { maxTokens: 100, concurrency: 4, retries: 2, pause: 0.5, deadline: 120 };

/**
 * Asks several draws of the weights the same question, on servers that load adapters.
 *
 * @param prompt a text to continue, or a chat to answer
 * @throws BrownianError usage (a member is missing, a server takes no adapters, nothing near `sigma` with `exact`), endpoint-failed (no server is
 * left, or one speaks what is not known here), file-not-found (no manifest); the signal's reason
 * @example
 * const question = [{ role: "user", content: "Is 91 a prime?" }];
 * const { votes, agreement } = await askEnsemble(question, { endpoints: ["http://localhost:8080"], adapters: "members" });
 */
export async function askEnsemble(prompt: string | readonly ServedMessage[], options: EnsembleOptions): Promise<EnsembleAnswers> {
  const { endpoints, signal, keep = false, apiKey } = checkOptions("askEnsemble", options, NAMES);
  if (typeof prompt !== "string") checkList("prompt", prompt);
  for (const endpoint of checkList("endpoints", endpoints)) checkText("endpoint", endpoint);
  if (endpoints.length === 0) throw new BrownianError("usage", "An ensemble needs at least one endpoint (--endpoint URL).");
  const asked = {
    prompt,
    maxTokens: checkInteger("maxTokens", options.maxTokens ?? DEFAULTS.maxTokens, 1),
    temperature: checkNumber("temperature", options.temperature ?? 0, 0),
    seed: options.seed,
    stop: options.stop,
  };
  const work = {
    concurrency: checkInteger("concurrency", options.concurrency ?? DEFAULTS.concurrency, 1, 1024),
    retries: checkInteger("retries", options.retries ?? DEFAULTS.retries, 0, 100),
    pause: checkNumber("pause", options.pause ?? DEFAULTS.pause, 0, 3600),
    signal,
  };
  const deadline = checkNumber("deadline", options.deadline ?? DEFAULTS.deadline, 0.01, 86_400);
  const manifest = await readManifest(options.adapters);
  const servers = endpoints.map((url) => new Server(url, { apiKey, deadline }));
  const places = await placesOf(servers, manifest, options, work);
  const unload = () => (keep ? Promise.resolve(places.map(() => [])) : unloadAll(places));
  let done: { readonly results: readonly MemberAnswer[]; readonly servers: readonly ServerWork<Place>[] };
  try {
    const tasks = [...(places[0] as Place).tasks.keys()];
    done = await spread(
      tasks,
      places,
      async (place, number, whole): Promise<MemberAnswer> => {
        const { member, sigma, file, scale } = place.tasks[number] as Sigma;
        const called = place.called[file] as string;
        const answer = await place.protocol.ask(place.server, asked, { called, scale }, whole);
        return { member, sigma, endpoint: place.server.url, ...answer };
      },
      work,
    );
  } catch (error) {
    throw andStayed(error, sentences(places, await unload()));
  }
  const stayed = new Map((await unload()).map((own, i) => [places[i] as Place, own]));
  const told = done.servers.map((one) => ({ ...toldOf(one), stayed: stayed.get(one.place) ?? [] }));
  return { ...counted(done.results), endpoints: told };
}

const unloadAll = (places: readonly Place[]): Promise<readonly (readonly Stayed[])[]> =>
  Promise.all(places.map(({ protocol, server, called }) => protocol.unload(server, called)));

const sentences = (places: readonly Place[], stayed: readonly (readonly Stayed[])[]): string[] =>
  places.map(({ server }, i) => saidOf(server.url, stayed[i] ?? []));

/** The servers with their members. One that does not answer is left out, unless none does. */
async function placesOf(
  servers: readonly Server[],
  manifest: AdapterManifest,
  options: EnsembleOptions,
  work: { readonly retries: number; readonly pause: number; readonly signal?: AbortSignal | undefined },
): Promise<readonly Place[]> {
  const found: (Place | undefined)[] = servers.map(() => undefined);
  // Each is tried as often as any work; what one cannot do the others need not.
  const attempts = await Promise.allSettled(
    servers.map(async (server, i) => {
      const { results } = await spread([server], [server], (one, _, signal) => placeOf(one, manifest, options, signal), {
        ...work,
        concurrency: 1,
      });
      found[i] = results[0];
    }),
  );
  const failed = attempts.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
  const places = found.filter((one): one is Place => one !== undefined);
  const fatal = work.signal?.aborted
    ? work.signal.reason
    : failed.find((error) => !(error instanceof BrownianError) || error.code !== "endpoint-failed");
  if (fatal !== undefined || places.length === 0) {
    throw andStayed(fatal ?? failed[0], sentences(places, await unloadAll(places)));
  }
  return places;
}

async function placeOf(server: Server, manifest: AdapterManifest, options: EnsembleOptions, signal: AbortSignal): Promise<Place> {
  const protocol = options.protocol === undefined ? await protocolOf(server, signal) : PROTOCOLS[options.protocol];
  const { files, tasks } = chosen(protocol, manifest, options);
  const folder = (options.membersPath ?? options.adapters).replace(/[/\\]+$/, "");
  const served = files.map(({ path }) => ({ name: path, path: `${folder}/${path}` }));
  const own = ownNames(manifest);
  return { server, protocol, called: await protocol.load(server, served, own, signal), tasks };
}

/** Members of other models, seeds and ranks are other members: what names of these members begin with on servers that load them. */
export const ownNames = ({ model, seed, rank }: AdapterManifest): string =>
  `brownian-${model.sha256.slice(0, 8)}-s${seed}-r${rank}`;

/** The files that a server needs, and how each member is asked by them. @throws BrownianError usage */
export function chosen(
  protocol: Pick<Protocol, "name" | "format" | "scaled">,
  manifest: AdapterManifest,
  options: Pick<EnsembleOptions, "members" | "sigma" | "exact" | "antithetic" | "adapters">,
): { readonly files: readonly ManifestMember[]; readonly tasks: readonly Sigma[] } {
  const { adapters, antithetic = manifest.antithetic, exact = false } = options;
  const all = manifest.members.filter(({ format }) => format === protocol.format);
  if (all.length === 0)
    throw new BrownianError(
      "usage",
      `${adapters} has no members for ${protocol.name}: write them with brownian adapter --format ${protocol.format}.`,
    );
  const numbers = [...new Set(all.map(({ member }) => member))].sort((a, b) => a - b);
  const count = checkInteger("members", options.members ?? numbers.length, 1);
  if (count > numbers.length)
    throw new BrownianError(
      "usage",
      `${adapters} has ${numbers.length} members, not ${count}: write more with brownian adapter --members ${count}.`,
    );
  const sigma = checkNumber("sigma", options.sigma ?? Math.max(...manifest.sigma), Number.MIN_VALUE);
  const files: ManifestMember[] = [];
  const tasks: Sigma[] = [];
  for (const member of numbers.slice(0, count))
    for (const wanted of antithetic ? [sigma, -sigma] : [sigma]) {
      const { nearest, sigma: own, scale } = nearestFile(protocol, all, member, wanted);
      if (exact && own !== wanted)
        throw new BrownianError(
          "usage",
          `${adapters} has no file of sigma ${sigma} (it has ${manifest.sigma.join(", ")}): leave out exact, or write one.`,
        );
      if (!files.includes(nearest)) files.push(nearest);
      tasks.push({ member, sigma: own, file: files.indexOf(nearest), scale });
    }
  return { files, tasks };
}

/** The file of a member for a sigma, the sigma that it gives, and with which scale. @throws BrownianError usage where there is none of its sign */
export function nearestFile(
  { scaled }: Pick<Protocol, "scaled">,
  all: readonly ManifestMember[],
  member: number,
  wanted: number,
): { readonly nearest: ManifestMember; readonly sigma: number; readonly scale: number } {
  const own = all.filter((one) => one.member === member && (scaled || one.sigma * wanted > 0));
  const nearest = own.reduce<ManifestMember | undefined>(
    (best, one) => (best === undefined || Math.abs(one.sigma - wanted) < Math.abs(best.sigma - wanted) ? one : best),
    undefined,
  );
  if (nearest === undefined)
    throw new BrownianError(
      "usage",
      `There is no mirror image of member ${member}: write them with brownian adapter --antithetic.`,
    );
  return scaled ? { nearest, sigma: wanted, scale: wanted / nearest.sigma } : { nearest, sigma: nearest.sigma, scale: 1 };
}

function toldOf({ place: { server, protocol }, done, failures, gone }: ServerWork<Place>) {
  return { url: server.url, protocol: protocol.name, answers: done, failures, gone: gone?.message };
}

/** Votes, and where the members part. */
export function counted(answers: readonly MemberAnswer[]): Omit<EnsembleAnswers, "endpoints"> {
  const byText = new Map<string, MemberAnswer[]>();
  for (const answer of answers) {
    const text = answer.text.trim();
    byText.set(text, [...(byText.get(text) ?? []), answer]);
  }
  const groups = [...byText].sort(([, a], [, b]) => b.length - a.length); // equal numbers stay in the order of members
  const votes = groups.map(([text, own]) => ({ text, count: own.length, members: own.map(({ member }) => member) }));
  const most = groups[0]?.[1][0];
  return { answers, votes, agreement: (votes[0]?.count ?? 0) / answers.length, tokens: agreedTokens(answers, most) };
}

function agreedTokens(answers: readonly MemberAnswer[], most: MemberAnswer | undefined): readonly AgreedToken[] {
  let same = answers.flatMap(({ tokens }) => (tokens === undefined ? [] : [tokens]));
  return (most?.tokens ?? []).map(({ text }, i) => {
    const before = same.length;
    same = same.filter((tokens) => tokens[i]?.text === text);
    const probability = same.reduce((sum, tokens) => sum + Math.exp(tokens[i]?.logProbability ?? 0), 0) / same.length;
    return { text, members: before, disagreement: 1 - same.length / before, probability };
  });
}
