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

const DEADLINE = 600;

export class Upstream {
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
      const all = this.manifest.members.filter(({ format }) => format === place.protocol.format);
      const own = sigma === 0 ? undefined : nearestFile(place.protocol, all, member % this.members, sigma);
      const with_ = own && { called: place.called.get(own.nearest.path) as string, scale: own.scale };
      place.busy++;
      try {
        return { ...(await place.protocol.ask(place.server, listening, with_, signal)), sigma: own?.sigma ?? 0 };
      } catch (error) {
        if (heard || !(error instanceof ServerError) || !error.transient) throw error;
        failure = error;
      } finally {
        place.busy--;
      }
    }
    throw failure;
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
