// Which tensors of a model can be moved by an adapter: matrices that the engines' graphs multiply with by way of LoRA (build_lora_mm of llama.cpp,
// the linear layers of PEFT). What an engine would silently pass over is refused by name, since it would be less noise than was asked for.

import { BrownianError } from "../errors.js";
import { type ChooseOptions, chooseTensors, type ModelFile, namesOf, type Skipped, type Tensor } from "../files/index.js";
import { architectureOf, isHuggingFace, isNamed, NAMED, nameInGguf, placeOf } from "./names.js";

/** Parts of blocks that llama.cpp multiplies with by way of adapters, in all architectures that have them. */
const PARTS = new Set(["attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]);
const OUTPUT = "output.weight";
const EMBEDDING = "token_embd.weight";

/** Why a tensor is left alone: half a sentence; undefined where nothing says so. */
function leftAlone({ shape }: Tensor, name: string): string | undefined {
  if (shape.filter((n) => n > 1).length < 2) return "a vector, not a matrix: adapters have none";
  if (name === EMBEDDING) return "looked up and, where it is tied, also the output: it has no rule";
  return undefined;
}

/** Scales of eight-bit floats, which weights are multiplied with before adapters are added. */
const SCALES = ["_scale_inv", "_scale"];

/** Why an engine would pass over a tensor, or how it would miss; undefined where it has a rule. `name` is GGUF's. */
function without({ name: own, shape }: Tensor, name: string, names: ReadonlySet<string>): string | undefined {
  const scale = SCALES.find((ending) => names.has(own + ending));
  if (scale !== undefined) return `stored without its scale, ${own}${scale}: its RMS is not that of its weights`;
  if (name === OUTPUT) return undefined;
  if (shape.length > 2) return `${shape.length}-D, as of experts`;
  const place = placeOf(name);
  return place !== undefined && PARTS.has(place.part) ? undefined : "not known to be multiplied with by way of adapters";
}

/**
 * The matrices that an adapter moves, and the tensors that are left alone, with the reason. Of what no glob names, the output stays as it is: not all
 * engines take adapters there.
 * @throws BrownianError unsupported-type (matrices without a rule, by name, and types without an RMS), no-such-tensor, usage (none is left)
 */
export function chooseMatrices(
  model: ModelFile,
  options: ChooseOptions,
): { readonly chosen: readonly Tensor[]; readonly skipped: readonly Skipped[] } {
  if (isHuggingFace(model) && !isNamed(model))
    throw new BrownianError(
      "unsupported-type",
      `${model.path} is a ${architectureOf(model)} model: names and rows of its layers are known for ${NAMED.join(", ")} only. Convert it to GGUF, or take the carrier live (brownian perturb).`,
    );
  const named = chooseTensors(model, options);
  const names = namesOf(model);
  const chosen: Tensor[] = [];
  const skipped: Skipped[] = [...named.skipped];
  const refused: { tensor: Tensor; why: string }[] = [];
  for (const tensor of named.chosen) {
    const name = nameInGguf(model, tensor.name);
    const reason = options.only === undefined && name === OUTPUT ? "moved only where it is named" : leftAlone(tensor, name);
    const why = reason === undefined ? without(tensor, name, names) : undefined;
    if (reason !== undefined) skipped.push({ tensor, reason });
    else if (why === undefined) chosen.push(tensor);
    else if (options.skipUnsupported) skipped.push({ tensor, reason: why });
    else refused.push({ tensor, why });
  }
  if (refused.length > 0) {
    const [first] = refused as [{ tensor: Tensor; why: string }];
    const others = refused.length > 1 ? ` and ${refused.length - 1} more` : "";
    throw new BrownianError(
      "unsupported-type",
      `${model.path}: ${first.tensor.name} (${first.why})${others} cannot be moved by an adapter. ` +
        "Leave such tensors alone with --skip-unsupported (skipUnsupported: true), name others with --only, or take the carrier live.",
    );
  }
  if (chosen.length === 0)
    throw new BrownianError("usage", `${model.path} has no matrix that an adapter could move among the tensors that were named.`);
  return { chosen, skipped };
}
