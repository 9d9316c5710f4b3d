// The options of commands that ask servers with members (ensemble, eval, evolve-adapter): named, explained and read alike.

import { type Command, Option } from "commander";
import { environment } from "../environment.js";
import { given } from "./inputs.js";
import { parseNumber, parseWhole } from "./options.js";

/** Which servers, and how they are asked. */
export interface ServerFlags {
  readonly endpoint?: string[];
  readonly adapters?: string;
  readonly membersPath?: string;
  readonly concurrency?: number;
  readonly deadline?: number;
  readonly apiKey?: string;
}

/** How servers are asked, by the names that the values have: of no use without servers. */
export const OF_SERVERS = ["membersPath", "concurrency", "deadline", "apiKey"] as const satisfies readonly (keyof ServerFlags)[];

/** What of these differs between commands. */
export interface ServerWords {
  /** What a server is here. */
  readonly endpoint: string;
  /** What the folder of --adapters is here. */
  readonly adapters: string;
  /** What one request is for. */
  readonly request: string;
  /** Whether the command is nothing without servers. */
  readonly needed?: boolean;
}

export function addServerOptions(command: Command, { endpoint, adapters, request, needed = false }: ServerWords): Command {
  const only = needed ? "" : "with --endpoint: ";
  return command
    .addOption(
      new Option("--endpoint <url>", `${endpoint}; may be given several times`).argParser(each).makeOptionMandatory(needed),
    )
    .addOption(new Option("--adapters <folder>", adapters).makeOptionMandatory(needed))
    .option("--members-path <folder>", `${only}the same folder as the servers see it`)
    .option("--concurrency <n>", `${only}requests to one server at a time (default: 4)`, parseWhole)
    .option("--deadline <seconds>", `${only}for ${request} (default: 120)`, parseNumber)
    .option("--api-key <key>", `${only}of the servers (better: BROWNIAN_API_KEY, which no list of processes shows)`);
}

/** How servers are asked, as the library takes it. */
export function serversBy({ membersPath, concurrency, deadline, apiKey = environment.apiKey }: ServerFlags) {
  return given({ membersPath, concurrency, deadline, apiKey });
}

/** Values of an option that may be given several times. */
export const each = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
