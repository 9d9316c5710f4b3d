// What a file with tensors is that is no model: adapters, projectors, importance matrices. Reads the directory that is there already.

import { shown } from "../errors.js";
import type { ModelFile } from "./tensor.js";

/** Files of other kinds, by their general.type or architecture, and what each is. */
const OTHER_FILES: Readonly<Record<string, string>> = {
  adapter: "an adapter, which changes a model and is none itself: give the model that it was made for",
  imatrix: "an importance matrix: give it to --imatrix, and the model that it was measured on here",
  mmproj: "a projector, which lets a model see or hear and is none itself: give the model that it was made for",
  clip: "a projector, which lets a model see or hear and is none itself: give the model that it was made for",
  controlvector: "a control vector, which steers a model and is none itself: give the model that it was made for",
  vocab: "a vocabulary without a model",
  eagle3: "a draft head, which guesses for a model and is none itself: give the model that it was made for",
  dflash: "a draft head, which guesses for a model and is none itself: give the model that it was made for",
  "wavtokenizer-dec": "a decoder of sound",
};

/** What a file is, if its header says that it is no model; half a sentence for people. */
export function otherThanModel({ metadata, architecture }: Pick<ModelFile, "metadata" | "architecture">): string | undefined {
  const type = metadata["general.type"];
  const kind = type === undefined || type === "model" ? architecture : String(type);
  if (Object.hasOwn(OTHER_FILES, kind)) return OTHER_FILES[kind];
  return type === undefined || type === "model" ? undefined : `of the type ${shown(type)} (general.type), not a model`;
}

/** What holds no weights at all: there is nothing in it that could move. */
export const isImatrix = ({ metadata }: Pick<ModelFile, "metadata">): boolean => metadata["general.type"] === "imatrix";
