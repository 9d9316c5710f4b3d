// Does the engine see what is written to the live file? llama.cpp multiplies with the mapped bytes of most types, but with its own
// rearranged copy of others (which ones depends on build and processor). So it is measured, class by class, before anything relies on it.

import type { Tensor } from "../gguf/index.js";
import type { Thermostat } from "../thermostat/thermostat.js";
import type { EngineModel } from "./engine.js";

/** Tensors that the engine treats alike: one type, one role. */
export interface TensorClass {
  /** Such as "Q8_0 blk.*.attn_q.weight". */
  readonly name: string;
  readonly tensors: readonly Tensor[];
}

export interface Probe {
  /** Classes whose changes the engine sees at once. */
  readonly live: readonly TensorClass[];
  /** Classes whose changes were not seen: the engine must load the file again. */
  readonly dead: readonly TensorClass[];
}

/** Strong enough that every logit changes, far from making infinities: noise as large as the weights. */
const STRONG = { sigma: 1, scale: "rms", rounding: "matched", dynamics: "quenched", seed: 1n } as const;

export function classesOf(tensors: readonly Tensor[]): TensorClass[] {
  const classes = new Map<string, Tensor[]>();
  for (const tensor of tensors) {
    const name = `${tensor.type} ${tensor.name.replace(/\.\d+\./g, ".*.")}`;
    const members = classes.get(name);
    if (members === undefined) classes.set(name, [tensor]);
    else members.push(tensor);
  }
  return [...classes].map(([name, members]) => ({ name, tensors: members }));
}

/**
 * Moves one tensor of each class after the other and compares the logits of a short context. The live file is pristine before and after;
 * the thermostat's dials are the caller's to set again. A class is called dead only when moving all of its tensors at once changes nothing.
 */
export async function probe(
  engine: EngineModel,
  bath: Thermostat,
  tensors: readonly Tensor[],
  signal?: AbortSignal,
): Promise<Probe> {
  const context = engine.tokenize("Once upon a time there was").slice(0, 8);
  const live: TensorClass[] = [];
  const dead: TensorClass[] = [];
  try {
    const clean = await engine.logits(context);
    const seen = async (moved: readonly Tensor[]): Promise<boolean> => {
      signal?.throwIfAborted();
      bath.configure({ ...STRONG, only: moved.map((tensor) => tensor.name) });
      await bath.draw();
      return !equal(clean, await engine.logits(context));
    };
    for (const group of classesOf(tensors)) {
      const smallest = group.tensors.reduce((a, b) => (b.bytes < a.bytes ? b : a));
      const isLive = (await seen([smallest])) || (group.tensors.length > 1 && (await seen(group.tensors)));
      (isLive ? live : dead).push(group);
    }
  } finally {
    await bath.restore();
  }
  return { live, dead };
}

function equal(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): boolean {
  if (a.size !== b.size) return false;
  for (const [token, logit] of a) if (!Object.is(logit, b.get(token))) return false;
  return true;
}
