// A text as the members of a folder read it on a server: what calibrations over an endpoint rest on.

import { BrownianError, checkText } from "../errors.js";
import { chosen, ownNames } from "./ensemble.js";
import { type AdapterManifest, readManifest } from "./manifest.js";
import { andStayed, PROTOCOLS, type ProtocolName, protocolOf, type ReadToken, Server, saidOf } from "./servers/index.js";
import { spread } from "./spread.js";

/** Which server reads, with which members. */
export interface ReadMembersOptions {
  /** Address of the server. */
  readonly endpoint: string;
  /** The folder that `brownian adapter` wrote. */
  readonly adapters: string;
  /** The same folder as the server sees it; default: `adapters`. */
  readonly membersPath?: string | undefined;
  /** What the server speaks; default: found out. */
  readonly protocol?: ProtocolName | undefined;
  /** Members that read; default: all of the folder. */
  readonly members?: number | undefined;
  /** The sigmas that they read with, where the server takes a scale with each request; else those of the folder. */
  readonly sigmas?: readonly number[] | undefined;
  /** Texts that are read at a time; default 4. Of vLLM one, since more of them end its engine. */
  readonly concurrency?: number | undefined;
  /** Seconds that one reading may take; default 600. */
  readonly deadline?: number | undefined;
  readonly apiKey?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A server that reads. */
export interface MemberReader {
  readonly manifest: AdapterManifest;
  /** Rising. */
  readonly sigmas: readonly number[];
  /** How many members read. */
  readonly members: number;
  /** Each of the texts by the clean model. */
  clean(texts: readonly string[]): Promise<readonly (readonly ReadToken[])[]>;
  /** Each of them by a member, 0 to members - 1, at one of the sigmas. */
  moved(texts: readonly string[], member: number, sigma: number): Promise<readonly (readonly ReadToken[])[]>;
}

/** Shares of the largest sigma where a server has scales and the folder one level. */
const SHARES = [0.2, 0.35, 0.5, 0.7, 1];
const WORK = { retries: 2, pause: 0.5 };

/**
 * Loads members on a server for as long as `work` takes, and reads texts with them.
 * @throws BrownianError usage (a server that does not tell what it thinks of a given text, fewer than two sigmas), and as `askEnsemble`
 */
export async function readMembers<T>(options: ReadMembersOptions, work: (reader: MemberReader) => Promise<T>): Promise<T> {
  const { endpoint, adapters, apiKey, deadline = 600, concurrency = 4, signal } = options;
  const manifest = await readManifest(adapters);
  const server = new Server(checkText("endpoint", endpoint), { apiKey, deadline });
  const protocol = options.protocol === undefined ? await protocolOf(server, signal) : PROTOCOLS[options.protocol];
  const { read } = protocol as { read?: NonNullable<(typeof PROTOCOLS)["vllm"]["read"]> };
  if (read === undefined)
    throw new BrownianError(
      "usage",
      `${server.url} is ${protocol.name}, which does not tell what it thinks of a given text: calibrate on another engine (brownian calibrate --carrier adapter).`,
    );
  const sigmas = sigmasOf(manifest, protocol.scaled, options);
  const at = sigmas.map((sigma) =>
    chosen(protocol, manifest, { members: options.members, sigma, exact: !protocol.scaled, antithetic: false, adapters }),
  );
  const files = [...new Set(at.flatMap((one) => one.files))];
  const folder = (options.membersPath ?? adapters).replace(/[/\\]+$/, "");
  const served = files.map(({ path }) => ({ name: path, path: `${folder}/${path}` }));
  const called = await protocol.load(server, served, ownNames(manifest), signal);
  const how = { ...WORK, concurrency: Math.min(concurrency, protocol.readsAtOnce ?? concurrency), signal };
  const reading = (texts: readonly string[], member: Parameters<typeof read>[2]) =>
    spread(texts, [server], (one, text, whole) => read(one, text, member, whole), how);
  let result: T;
  try {
    result = await work({
      manifest,
      sigmas,
      members: at[0]?.tasks.length ?? 0,
      clean: async (texts) => (await reading(texts, undefined)).results,
      moved: async (texts, member, sigma) => {
        const { files: own, tasks } = at[sigmas.indexOf(sigma)] as (typeof at)[number];
        const { file, scale } = tasks[member] as (typeof tasks)[number];
        const name = called[files.indexOf(own[file] as (typeof files)[number])] as string;
        return (await reading(texts, { called: name, scale })).results;
      },
    });
  } catch (error) {
    throw andStayed(error, [saidOf(server.url, await protocol.unload(server, called))]);
  }
  const said = saidOf(server.url, await protocol.unload(server, called));
  if (said !== "") process.emitWarning(said, { code: "BROWNIAN_STILL_LOADED" });
  return result;
}

function sigmasOf({ sigma: levels }: AdapterManifest, scaled: boolean, { sigmas: given, adapters }: ReadMembersOptions) {
  const most = Math.max(...levels);
  const own = scaled ? (given ?? (levels.length > 1 ? levels : SHARES.map((share) => share * most))) : levels;
  const strange = given?.find((sigma) => !scaled && !levels.includes(sigma));
  if (strange !== undefined)
    throw new BrownianError(
      "usage",
      `${adapters} has no files of sigma ${strange} (it has ${levels.join(", ")}), and the server takes no scale with a request: write them with brownian adapter --sigma.`,
    );
  const chosenOnes = [...(scaled ? own : (given ?? own))].sort((a, b) => a - b);
  if (chosenOnes.length > 1) return chosenOnes;
  throw new BrownianError(
    "usage",
    `A calibration needs two sigmas or more, and ${adapters} has ${levels.join(", ")}: write members of several (brownian adapter --sigma 0.03,0.05,0.08,0.12).`,
  );
}
