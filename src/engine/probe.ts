// Does the engine see what is written to the live file? llama.cpp multiplies with the mapped bytes of most types, but
// with its own rearranged copy of others (which ones depends on build and processor). So it is measured, class by
// class, before anything relies on it.

import { open } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import type { Tensor } from "../files/index.js";
import { noiseOf, type ThermostatSettings } from "../thermostat/noise.js";
import type { Thermostat } from "../thermostat/thermostat.js";
import { NoNumbers } from "./expectation.js";
import type { Engine } from "./interface.js";

/** Tensors that the engine treats alike: one type, one role, one shape. */
export interface TensorClass {
  /** Such as "Q8_0 blk.*.attn_q.weight". */
  readonly name: string;
  /** In the order of the file. */
  readonly tensors: readonly Tensor[];
}

/** What the engine sees of writes to the live file, class by class. */
export interface Probe {
  /** Classes whose changes the engine sees at once (and those, all zeros, that no draw can change). */
  readonly live: readonly TensorClass[];
  /** Classes whose changes were not seen, or not in every place where the engine uses them: it must load the file again. */
  readonly dead: readonly TensorClass[];
  /** Classes that no logit depends on: whether their changes are seen makes no difference. */
  readonly unused: readonly TensorClass[];
}

/** Two tokens or more: with one, attention has nothing to choose from, and queries and keys do not matter. */
const CONTEXT = { text: "Once upon a time", tokens: 4 };

/**
 * Noise as large as the weights: every logit changes, nothing overflows. Tensors that are all zeros, such as fresh
 * biases, have no size to take it relative to: those are moved by a tenth.
 */
const STRONG: readonly ThermostatSettings[] = [
  { sigma: 1, scale: "rms", seed: 1n },
  { sigma: 0.1, scale: "absolute", seed: 1n },
];
/** What only chooses (the biases of a router) changes a logit where it makes another choice. */
const HARDER: ThermostatSettings = { sigma: 10, scale: "absolute", seed: 1n };

type Logits = ReadonlyMap<number, number>;

export function classesOf(tensors: readonly Tensor[]): TensorClass[] {
  const classes = new Map<string, { name: string; tensors: Tensor[] }>();
  for (const tensor of tensors) {
    const name = `${tensor.type} ${tensor.name.replace(/\.\d+\./g, ".*.")}`;
    const key = `${name} ${tensor.shape}`; // whether a type is rearranged may depend on the length and number of rows
    const group = classes.get(key);
    if (group === undefined) classes.set(key, { name, tensors: [tensor] });
    else group.tensors.push(tensor);
  }
  return [...classes.values()];
}

/**
 * Moves one tensor of each class after the other and compares the logits of a short context, which must be exactly the
 * same without a move. The live file is pristine before and after; the thermostat's settings are the caller's to set
 * again. A class is called dead only when moving all of its tensors at once changes nothing.
 *
 * @throws BrownianError engine-failed when the engine does not give equal logits for equal weights, or none that are numbers
 */
export async function probe(engine: Engine, bath: Thermostat, tensors: readonly Tensor[], signal?: AbortSignal): Promise<Probe> {
  const context = engine.tokenize(CONTEXT.text).slice(0, CONTEXT.tokens);
  const live: TensorClass[] = [];
  const dead: TensorClass[] = [];
  const unused: TensorClass[] = [];
  const needless = needlessIn(bath.model);
  try {
    const clean = await engine.logits(context);
    // Where nothing is a number, nothing is seen to change.
    if (![...clean.values()].some(Number.isFinite)) throw new NoNumbers(engine.name);
    if (!equal(clean, await engine.logits(context))) {
      throw new BrownianError(
        "engine-failed",
        `The engine gives other logits every time for the same tokens and weights of ${engine.name}: what it sees of moving weights cannot be told.`,
      );
    }
    for (const group of classesOf(tensors)) {
      const smallest = group.tensors.reduce((a, b) => (b.bytes < a.bytes ? b : a));
      let seen = false;
      for (const moved of group.tensors.length > 1 ? [[smallest], group.tensors] : [group.tensors]) {
        signal?.throwIfAborted();
        const changed = await move(bath, moved);
        seen = changed === 0 ? moved === group.tensors : await sees(engine, bath, moved, context, clean);
        if (seen) break;
      }
      if (!seen && SELECTS.test(group.name)) {
        await moveBy(bath, group.tensors, HARDER);
        seen = await sees(engine, bath, group.tensors, context, clean);
      }
      (seen ? live : group.tensors.every(needless) ? unused : dead).push(group);
    }
  } finally {
    await bath.restore();
  }
  return { live, dead, unused };
}

/** Moves these tensors strongly and no others; resolves to the number of weights that changed. */
async function move(bath: Thermostat, tensors: readonly Tensor[]): Promise<number> {
  for (const settings of STRONG) {
    // A tensor with weights that are infinite or NaN has no size to take it relative to, either.
    const changed = await moveBy(bath, tensors, settings).catch((error) => {
      if (error instanceof BrownianError && error.code === "corrupt-gguf") return 0;
      throw error;
    });
    if (changed > 0) return changed;
  }
  return 0;
}

async function moveBy(bath: Thermostat, tensors: readonly Tensor[], settings: ThermostatSettings): Promise<number> {
  bath.configure(noiseOf({ ...settings, only: tensors.map((tensor) => tensor.name) }));
  return (await bath.draw()).changed;
}

/** Numbers by which experts are chosen, and nothing else. */
const SELECTS = /exp_probs_b/;
/** What comes after the last logit: the head of a classifier. */
const AFTER = /^cls\b/;

/** Tensors that the logits of the next token do not depend on: layers that guess further tokens (MTP, NextN), and other heads. */
function needlessIn({ metadata, architecture }: Thermostat["model"]): (tensor: Tensor) => boolean {
  const guessing = Number(metadata[`${architecture}.nextn_predict_layers`] ?? 0);
  const layers = Number(metadata[`${architecture}.block_count`] ?? 0);
  return ({ name }) => {
    const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? -1);
    return AFTER.test(name) || /\bnextn\b/.test(name) || (guessing > 0 && layer >= layers - guessing);
  };
}

/** Whether the engine computes with these tensors as they are now, in every place where it uses them. */
async function sees(engine: Engine, bath: Thermostat, moved: readonly Tensor[], context: readonly number[], clean: Logits) {
  const now = await engine.logits(context);
  if (equal(clean, now)) return false;
  const embedding = moved.find((tensor) => tensor.name === "token_embd.weight");
  if (embedding === undefined || bath.model.tensors.some((tensor) => tensor.name === "output.weight")) return true;
  // A tied embedding is used twice: rows are looked up for the context, and the engine may have rearranged a second copy for the
  // output. With the context's own rows pristine again only the output differs, so these logits must be neither the clean ones
  // (the output is a copy) nor those from before (the lookup is).
  await restoreRows(bath, embedding, new Set(context));
  const outputOnly = await engine.logits(context);
  return !equal(clean, outputOnly) && !equal(now, outputOnly);
}

/** Writes the pristine rows of a tensor to the live file. */
async function restoreRows(bath: Thermostat, tensor: Tensor, rows: Iterable<number>): Promise<void> {
  const row = Buffer.alloc(tensor.bytes / (tensor.shape[1] ?? 1));
  const pristine = await open(bath.model.parts[tensor.part]?.path as string, "r");
  const live = await open(bath.liveParts[tensor.part] as string, "r+").catch(async (error) => {
    await pristine.close();
    throw error;
  });
  try {
    for (const index of rows) {
      const position = tensor.offset + index * row.length;
      await pristine.read(row, 0, row.length, position);
      await live.write(row, 0, row.length, position);
    }
  } finally {
    await live.close();
    await pristine.close();
  }
}

function equal(a: Logits, b: Logits): boolean {
  if (a.size !== b.size) return false;
  for (const [token, logit] of a) if (!Object.is(logit, b.get(token))) return false;
  return true;
}
