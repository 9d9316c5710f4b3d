// What the page and a column's worker say to each other. A run is one answer to one state of the dials; a new one ends the one before.

import type { Settings } from "./settings.js";

/** What the page's own address asks for, and nobody needs who reads: for comparison, and for tests. */
export interface Visit {
  /** The engine loads every moved file anew, even where it could see the moved bytes in place. */
  readonly reload: boolean;
  /** Draws of the next token that the bars show. Draw 0 begins the text. */
  readonly draws: number;
  /** Tokens of a text. */
  readonly tokens: number;
}

export type ColumnName = "softmax" | "weights";

export type ToColumn =
  | {
      readonly kind: "open";
      readonly column: ColumnName;
      /** Addresses of the model and of the engine's WebAssembly. */
      readonly model: string;
      readonly engine: string;
      readonly visit: Visit;
    }
  | { readonly kind: "run"; readonly run: number; readonly settings: Settings };

/** A part of one tensor, for the picture of its weights. */
export interface Sample {
  readonly tensor: string;
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Root mean square of the whole tensor's weights. */
  readonly rms: number;
}

export interface Likely {
  readonly token: string;
  readonly probability: number;
}

export type FromColumn =
  /** How much of the files is there, and how large they are in all; 0 where that is not known yet. */
  | { readonly kind: "fetching"; readonly bytes: number; readonly total: number }
  /** `live`: the engine sees moved bytes in place. */
  | { readonly kind: "opened"; readonly weights: number; readonly sample: Sample; readonly live: boolean }
  /** The clean model's next tokens at this temperature, likeliest first. */
  | { readonly kind: "law"; readonly run: number; readonly law: readonly Likely[] }
  | { readonly kind: "draw"; readonly run: number; readonly token: string; readonly seconds: number }
  /** The model that writes the text: how many weights differ from the file's, and SHA-256 of the whole moved file ("" where the host has none). */
  | { readonly kind: "moved"; readonly run: number; readonly changed: number; readonly sha256: string }
  | { readonly kind: "text"; readonly run: number; readonly piece: string }
  | { readonly kind: "written"; readonly run: number; readonly tokens: number; readonly seconds: number; readonly ended: boolean }
  | { readonly kind: "drawn"; readonly run: number }
  | { readonly kind: "failed"; readonly message: string };
