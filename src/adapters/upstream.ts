// Servers in front of which somebody answers: they have all members of a folder, and every text goes to the one with the least to do; where that is
// gone, to another, as long as nothing of it was heard.

import { BrownianError } from "../errors.js";
import { nearestFile, ownNames } from "./ensemble.js";
import { type AdapterManifest, readManifest } from "./manifest.js";
import {
  type Answered,
  type Asked,
  andStayed,
  isServedChat,
  PROTOCOLS,
  type Protocol,
  type ProtocolName,
  protocolOf,
  Server,
  ServerError,
  type Shape,
  saidOf,
} from "./servers/index.js";
import { type SpreadOptions, spread } from "./spread.js";

/** Which servers, and which members they have. */
export interface UpstreamOptions {
  /** Addresses of servers; at least one. */
  readonly endpoints: readonly string[];
  /** The folder that `brownian adapter` wrote. */
  readonly adapters: string;
  /** The same folder as the servers see it; default: `adapters`. */
  readonly membersPath?: string | undefined;
  /** What the servers speak; default: found out. */
  readonly protocol?: ProtocolName | undefined;
  readonly apiKey?: string | undefined;
  /** Seconds that one text may take; default 600. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One of the servers. */
interface Place {
  readonly server: Server;
  readonly protocol: Protocol;
  /** What each file of the manifest is called there. */
  readonly called: ReadonlyMap<string, string>;
  busy: number;
}

/** A text of many, and whose. */
export interface MemberAsked {
  readonly asked: Asked;
  readonly member: number;
  /** 0: clean weights. */
  readonly sigma: number;
  /** Where it is given, dice leave out nothing that the server would by itself (0), or what min-p cuts: as {@link Protocol.dice}. */
  readonly minP?: number | undefined;
}

/** How many texts are asked for. */
export interface AskAllOptions extends SpreadOptions {
  /** Called with every answer that has come. */
  readonly onAnswer?: (() => void) | undefined;
  /** Called where a server counts as gone, with the reason. */
  readonly onGone?: ((url: string, why: string) => void) | undefined;
}

const DEADLINE = 600;

export class Upstream {
  private readonly gone = new Set<Place>();

  /** @throws BrownianError as `askEnsemble`: every server must be there and have all members */
  static async open(options: UpstreamOptions): Promise<Upstream> {
    const { endpoints, adapters, membersPath = adapters, apiKey, deadline = DEADLINE, signal } = options;
    if (endpoints.length === 0) throw new BrownianError("usage", "A server to answer from is needed (--upstream URL).");
    const manifest = await readManifest(adapters);
    const places: Place[] = [];
    try {
      for (const url of endpoints) {
        const server = new Server(url, { apiKey, deadline });
        const protocol = options.protocol === undefined ? await protocolOf(server, signal) : PROTOCOLS[options.protocol];
        const files = manifest.members.filter(({ format }) => format === protocol.format).map(({ path }) => path);
        if (files.length === 0)
          throw new BrownianError(
            "usage",
            `${adapters} has no members for ${protocol.name}: write them with brownian adapter --format ${protocol.format}.`,
          );
        const folder = membersPath.replace(/[/\\]+$/, "");
        const served = files.map((path) => ({ name: path, path: `${folder}/${path}` }));
        const called = await protocol.load(server, served, ownNames(manifest), signal);
        places.push({ server, protocol, called: new Map(files.map((path, i) => [path, called[i] as string])), busy: 0 });
      }
    } catch (error) {
      throw andStayed(error, await unload(places));
    }
    return new Upstream(manifest, places);
  }

  private constructor(
    readonly manifest: AdapterManifest,
    private readonly places: readonly Place[],
  ) {}

  /** How many members there are: numbers from 0 on. */
  get members(): number {
    return 1 + Math.max(...this.manifest.members.map(({ member }) => member));
  }

  get servers(): number {
    return this.places.length;
  }

  /** Tokens that prompt and answer may have, of the server that has room for the fewest; undefined where none says so. */
  async contextSize(signal?: AbortSignal): Promise<number | undefined> {
    const sizes: number[] = [];
    for (const { server } of this.places) {
      const props = (await server.find("/props", signal)) as { default_generation_settings?: { n_ctx?: unknown } } | undefined;
      const models = (await server.find("/v1/models", signal)) as { data?: { max_model_len?: unknown }[] } | undefined;
      const found = props?.default_generation_settings?.n_ctx ?? models?.data?.[0]?.max_model_len;
      if (typeof found === "number") sizes.push(found);
    }
    return sizes.length === 0 ? undefined : Math.min(...sizes);
  }

  /** @throws BrownianError usage where none of the servers can keep answers to this */
  checkShape(shape: Shape, chat: boolean): void {
    if (this.places.some(({ protocol }) => protocol.kept(shape, chat) !== undefined)) return;
    const what = "grammar" in shape ? "a grammar" : "a JSON schema";
    const names = [...new Set(this.places.map(({ protocol }) => protocol.name))].join(", ");
    const instead = "grammar" in shape ? "take response_format, or a llama-server" : "ask it in words, or take another server";
    throw new BrownianError("usage", `${names} cannot be told here to keep to ${what}: ${instead}.`);
  }

  /**
   * A text by a member at a sigma (0: clean weights).
   * @throws BrownianError endpoint-failed where no server answers; usage
   */
  async ask(asked: Asked, member: number, sigma: number, signal?: AbortSignal): Promise<Answered & { readonly sigma: number }> {
    let heard = false;
    const listening =
      asked.heard === undefined
        ? asked
        : {
            ...asked,
            heard: (...piece: Parameters<NonNullable<Asked["heard"]>>) => {
              heard = true;
              asked.heard?.(...piece);
            },
          };
    let failure: unknown;
    const { shape, prompt } = asked;
    const able = this.places.filter(({ protocol }) => shape === undefined || protocol.kept(shape, isServedChat(prompt)));
    for (const place of able.sort((a, b) => a.busy - b.busy)) {
      place.busy++;
      try {
        return await this.askAt(place, listening, member, sigma, signal);
      } catch (error) {
        if (heard || !(error instanceof ServerError) || !error.transient) throw error;
        failure = error;
      } finally {
        place.busy--;
      }
    }
    throw failure;
  }

  private async askAt(place: Place, asked: Asked, member: number, sigma: number, signal: AbortSignal | undefined) {
    const { protocol, server, called } = place;
    const all = this.manifest.members.filter(({ format }) => format === protocol.format);
    const own = sigma === 0 ? undefined : nearestFile(protocol, all, member % this.members, sigma);
    const with_ = own && { called: called.get(own.nearest.path) as string, scale: own.scale };
    return { ...(await protocol.ask(server, asked, with_, signal)), sigma: own?.sigma ?? 0 };
  }

  /**
   * Many texts, spread over all servers; one that is gone leaves its work to the others, and is not asked for more of them as long as there are some.
   * Resolves to the answers in their order. Dice and shapes are to be such as every server takes.
   * @throws BrownianError endpoint-failed where no server is left, or one refuses
   */
  async askAll(tasks: readonly MemberAsked[], options: AskAllOptions): Promise<readonly Answered[]> {
    const { onAnswer, onGone, ...spreading } = options;
    const left = this.places.filter((place) => !this.gone.has(place));
    const { results, servers } = await spread(
      tasks,
      left.length > 0 ? left : this.places,
      async (place, { asked, member, sigma, minP }, whole) => {
        const dice = minP === undefined ? {} : place.protocol.dice(minP);
        const answer = await this.askAt(place, { ...asked, more: { ...asked.more, ...dice } }, member, sigma, whole);
        onAnswer?.();
        return answer;
      },
      spreading,
    );
    for (const { place, gone } of servers) {
      if (gone === undefined) continue;
      this.gone.add(place);
      onGone?.(place.server.url, gone.message);
    }
    return results;
  }

  /** What the servers are. */
  get protocols(): readonly Protocol[] {
    return [...new Set(this.places.map(({ protocol }) => protocol))];
  }

  /** Unloads members; resolves to a sentence for each server on which some stay. */
  async close(): Promise<readonly string[]> {
    return (await unload(this.places)).filter((sentence) => sentence !== "");
  }
}

const unload = (places: readonly Place[]): Promise<readonly string[]> =>
  Promise.all(
    places.map(async ({ protocol, server, called }) => saidOf(server.url, await protocol.unload(server, [...called.values()]))),
  );
