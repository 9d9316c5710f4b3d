// What is moved alone: each tensor, or the tensors of one kind in one layer; what is no matrix is one group of its own.

import type { ModelFile, Tensor } from "../../files/index.js";

/** Tensors that move together. */
export interface Group {
  /** Such as "blk.3.ffn_down". */
  readonly name: string;
  /** Number of the layer; null for what is in none. */
  readonly layer: number | null;
  /** Such as "ffn_down". */
  readonly kind: string;
  /** Their names. */
  readonly tensors: readonly string[];
  /** How many they have together. */
  readonly weights: number;
}

/** How a group of the tensors that are no matrices is called: norms and biases, mostly. */
export const REST = "norms and biases";

/** Layer and kind of a tensor, by llama.cpp's names: blk.LAYER.KIND.weight. */
export function placeOf(name: string): { readonly layer: number | null; readonly kind: string } {
  const [, layer, kind] = /^blk\.(\d+)\.(.+?)(?:\.weight)?$/.exec(name) ?? [];
  return layer === undefined
    ? { layer: null, kind: name.replace(/\.weight$/, "") }
    : { layer: Number(layer), kind: kind as string };
}

const isMatrix = ({ shape }: Tensor): boolean => shape.filter((length) => length > 1).length > 1;

/** The groups of these tensors, in the order of the model file. @param each every tensor by itself */
export function groupsOf(tensors: ModelFile["tensors"], each: boolean): Group[] {
  const groups = new Map<string, Tensor[]>();
  for (const tensor of tensors) {
    const { layer, kind } = placeOf(tensor.name);
    const name = !isMatrix(tensor) ? REST : each ? tensor.name : `${layer === null ? "" : `blk.${layer}.`}${kind}`;
    groups.set(name, [...(groups.get(name) ?? []), tensor]);
  }
  return [...groups].map(([name, own]) => {
    const place = name === REST ? { layer: null, kind: REST } : placeOf((own[0] as Tensor).name);
    return {
      name,
      ...place,
      tensors: own.map((tensor) => tensor.name),
      weights: own.reduce((sum, { weights }) => sum + weights, 0),
    };
  });
}
