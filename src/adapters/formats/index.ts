// The table of formats of adapters.

import type { AdapterFormat } from "./format.js";
import { gguf } from "./gguf.js";
import { peft } from "./peft.js";

/** What adapters are written in: for llama.cpp, and for those that read Hugging Face's. */
export type AdapterFormatName = "gguf" | "peft";

export const ADAPTER_FORMATS = { gguf, peft } as const satisfies Record<AdapterFormatName, AdapterFormat>;

export type { AdapterFile, AdapterFormat, MemberFile } from "./format.js";
