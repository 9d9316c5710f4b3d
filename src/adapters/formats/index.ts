// The table of formats of adapters.

import type { AdapterFormat } from "./format.js";
import { gguf } from "./gguf.js";
import { peft } from "./peft.js";

export const ADAPTER_FORMATS = { gguf, peft } as const satisfies Record<string, AdapterFormat>;

/** A name of the table. */
export type AdapterFormatName = keyof typeof ADAPTER_FORMATS;

export type { AdapterFile, AdapterFormat, MemberFile } from "./format.js";
