// Which tensors of a model move: those that the caller's globs name and that have a lattice or a float grid to move on.

import { createRequire } from "node:module";
import { BrownianError, checkText, shown } from "../errors.js";
import { FORMATS, formatNamed } from "../lattice/formats.js";
import { isImatrix, otherThanModel } from "./kind.js";
import type { ModelFile, Tensor } from "./tensor.js";

/** A tensor that is left alone, and why. */
export interface Skipped {
  /** The tensor, which keeps its bytes. */
  readonly tensor: Tensor;
  /** Why, for people: half a sentence. */
  readonly reason: string;
}

export interface ChooseOptions {
  /** Globs of tensor names; default all. */
  readonly only?: readonly string[] | undefined;
  /** Leave tensors of unsupported types alone instead of refusing. */
  readonly skipUnsupported?: boolean;
}

/** Tables that are stored among the weights but were not learned: noise on them is no temperature. */
const NOT_LEARNED = /^rope_(freqs|factors)/;
/** Numbers of bookkeeping, such as indices; as is I8 within a GGUF file, which has no scale to it. */
const BOOKKEEPING = new Set(["I8", "I16", "I32", "I64", "F64", "BOOL", "U16", "U32", "U64", "F8_E8M0"]);

/** How numbers that other weights are multiplied with are called: by llama.cpp (NVFP4, BitNet), and in files made of FP8 models. */
const SCALE_OF = /(?:\.(?:input_|weight_)?scales?|_scale(?:_inv)?)$/;

/** What llama-imatrix measured of a model's inputs. */
const MEASURED = /\.(?:in_sum2|counts)$/;

/** Why a tensor of this model is none of weights, whatever its type: half a sentence; undefined where nothing says so. */
export function notWeights({ name, type }: Tensor, names: ReadonlySet<string>): string | undefined {
  if (NOT_LEARNED.test(name)) return "a table, not learned weights";
  if (MEASURED.test(name)) return "measured of a model, not its weights";
  if (BOOKKEEPING.has(type)) return `${type} numbers are no weights`;
  const stem = name.replace(SCALE_OF, "");
  // A norm may be called so, too, and is learned: a scale has something to scale.
  if (stem !== name && (names.has(`${stem}.weight`) || names.has(stem))) return `the scale of ${stem}, not weights`;
  return undefined;
}

/** The names of a model's tensors. */
export const namesOf = ({ tensors }: Pick<ModelFile, "tensors">): ReadonlySet<string> => new Set(tensors.map(({ name }) => name));

/**
 * @throws BrownianError no-such-tensor for a glob that matches nothing, unsupported-type for tensors that cannot move, no-language-model for an importance matrix.
 */
export function chooseTensors(
  model: ModelFile,
  options: ChooseOptions = {},
): { chosen: readonly Tensor[]; skipped: readonly Skipped[] } {
  if (isImatrix(model)) throw new BrownianError("no-language-model", `${model.path} is ${otherThanModel(model)}.`);
  const named = options.only === undefined ? model.tensors : matching(model, options.only);
  const names = namesOf(model);
  const chosen: Tensor[] = [];
  const skipped: Skipped[] = [];
  const unsupported: Tensor[] = [];
  for (const tensor of named) {
    const reason = notWeights(tensor, names);
    if (reason !== undefined) skipped.push({ tensor, reason });
    else if (formatNamed(tensor.type) !== undefined) chosen.push(tensor);
    else unsupported.push(tensor);
  }
  if (unsupported.length > 0 && !options.skipUnsupported) {
    const types = [...new Set(unsupported.map((t) => t.type))].join(", ");
    throw new BrownianError(
      "unsupported-type",
      `${model.path}: ${count(unsupported.length, "tensor")} of type ${types} cannot be moved (${some(unsupported)}). ` +
        `Leave them alone with --skip-unsupported (skipUnsupported: true), or name others with --only. ` +
        `brownian moves ${FORMATS.map((f) => f.name).join(", ")}.`,
    );
  }
  for (const tensor of unsupported) skipped.push({ tensor, reason: `${tensor.type} cannot be moved` });
  return { chosen, skipped };
}

function matching(model: ModelFile, globs: readonly string[]): Tensor[] {
  // Loaded with the first glob: most programs name no tensors.
  const picomatch = createRequire(import.meta.url)("picomatch") as typeof import("picomatch");
  const wanted = new Set<Tensor>();
  for (const glob of globs) {
    // Names are no paths: "*" matches dots and, where there are any, slashes.
    const matches = matcherOf(glob, picomatch);
    const found = model.tensors.filter((tensor) => matches(tensor.name));
    if (found.length === 0) {
      throw new BrownianError(
        "no-such-tensor",
        `${model.path} has no tensor that matches "${glob}". It has, among others, ${some(model.tensors)}.`,
      );
    }
    for (const tensor of found) wanted.add(tensor);
  }
  return model.tensors.filter((tensor) => wanted.has(tensor));
}

/** @throws BrownianError usage for what is no glob */
function matcherOf(glob: unknown, picomatch: typeof import("picomatch")): (name: string) => boolean {
  if (glob === "") return () => false;
  try {
    return picomatch(checkText("a glob of only", glob), { dot: true, bash: true });
  } catch (error) {
    if (error instanceof BrownianError) throw error;
    throw new BrownianError("usage", `${shown(glob)} is no glob: ${(error as Error).message}.`, { cause: error });
  }
}

function some(tensors: readonly Tensor[]): string {
  const names = tensors.slice(0, 3).map((t) => t.name);
  return tensors.length > 3 ? `${names.join(", ")}, ...` : names.join(", ");
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
