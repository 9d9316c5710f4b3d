// Tensors whose moves the engine does not see: which they are, and what is said where that would be less noise than was asked for.

import type { Probe } from "../engine/index.js";
import { BrownianError } from "../errors.js";
import type { Tensor } from "../files/index.js";
import type { CheckedNoise } from "../thermostat/noise.js";

const WAY_OUT =
  "Use the dynamics quenched (the engine loads the moved file once a text), a Q8_0, Q6_K, F16 or F32 model, --only with tensors that are live, " +
  'the carrier adapter (which reaches weights on a GPU, too), or let llama.cpp keep weights as they are (repack: "auto" or "off"), which needs the engine llama-c: brownian info says ' +
  "whether it runs here.";

/** Of these tensors, those that the engine does not see moving. */
export function unseenAmong(tensors: readonly Tensor[], dead: Probe["dead"]): Tensor[] {
  const names = new Set(dead.flatMap((group) => group.tensors.map((tensor) => tensor.name)));
  return tensors.filter((tensor) => names.has(tensor.name));
}

/** @throws BrownianError not-live where the engine would miss moves of these tensors */
export function refuseUnseen(
  path: string,
  { dynamics }: CheckedNoise,
  promptWeights: string,
  unseen: readonly Tensor[],
  dead: Probe["dead"],
): void {
  const names = unseen.map((tensor) => tensor.name);
  const refuse = (why: string, which: readonly string[]) => {
    throw new BrownianError(
      "not-live",
      `${why}, but the engine does not see writes to ${unseen.length} of the moved tensors of ${path} (${which.join(", ")}). ${WAY_OUT}`,
    );
  };
  if (dynamics.moves) {
    const classes = dead.filter((group) => group.tensors.some((tensor) => names.includes(tensor.name)));
    refuse(
      `The dynamics ${dynamics.name} moves weights while the text is written`,
      classes.map((group) => group.name),
    );
  }
  if (promptWeights === "clean") refuse('promptWeights "clean" moves the weights between the prompt and the text', names);
}
