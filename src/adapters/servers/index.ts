// The table of protocols, and which of them a server speaks.

import { BrownianError } from "../../errors.js";
import type { Server } from "./http.js";
import { llamaServer } from "./llama-server.js";
import type { Protocol } from "./protocol.js";
import { sglang } from "./sglang.js";
import { tgi } from "./tgi.js";
import { vllm } from "./vllm.js";

/** Servers that load adapters. */
export type ProtocolName = "llama-server" | "vllm" | "sglang" | "tgi";

export const PROTOCOLS = { "llama-server": llamaServer, vllm, sglang, tgi } as const satisfies Record<ProtocolName, Protocol>;

/** What the server speaks. @throws ServerError where it does not answer; BrownianError endpoint-failed where it is none that is known */
export async function protocolOf(server: Server, signal?: AbortSignal): Promise<Protocol> {
  for (const protocol of Object.values<Protocol>(PROTOCOLS)) if (await protocol.knows(server, signal)) return protocol;
  const names = Object.values<Protocol>(PROTOCOLS).map(({ name }) => name);
  throw new BrownianError(
    "endpoint-failed",
    `${server.url} is none of the servers that are known here (${names.join(", ")}): say which it is (protocol, --protocol).`,
  );
}

export { Server, ServerError, type ServerOptions, STRANGE } from "./http.js";
export type {
  Answered,
  Asked,
  Protocol,
  ReadToken,
  ServedCall,
  ServedFile,
  ServedMessage,
  ServedToken,
  Shape,
} from "./protocol.js";
export { isServedChat } from "./protocol.js";
export { andStayed, type Stayed, saidOf } from "./unloading.js";
