// Noise on the weights while they are learned (An, "The effects of adding noise during backpropagation training on a generalization performance",
// Neural Computation 1996; Graves, "Practical variational inference for neural networks", NeurIPS 2011): the network comes to sit where a moved weight costs little.
//
//   loss(w + sigma_t eps),   eps standard normals, new at every step;  to second order loss(w) + sigma_t^2 / 2 tr H(w)

import { checkChoice } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { checkShape, disposeTree, isTensor, jax, mapTree, rebuild, type Tensor, type Tree } from "./autodiff.js";
import { checkNetwork, type Layer } from "./layers.js";
import { Key } from "./noise.js";
import { type Schedule, scheduled } from "./schedules.js";

const SCALES = ["rms", "absolute"] as const;

/** How much noise {@link weightNoise} puts on which weights. */
export interface WeightNoiseOptions {
  /** Standard deviation, a value or a function of the step; at least 0. */
  readonly sigma: Schedule;
  /** "rms" (default): in units of the tensor's RMS, as the library's sigma. "absolute": weight units, as in the papers (Graves: 0.075). */
  readonly scale?: (typeof SCALES)[number];
  /** Whether biases (tensors of one axis) are moved as well. Default no: models keep them apart in full precision. */
  readonly biases?: boolean;
}

const NAMES: Names<WeightNoiseOptions> = { sigma: true, scale: true, biases: true };

/**
 * The noise of a layer made by {@link weightNoise}.
 * @property kicks normals for the layer's parameters, scaled by sigma
 * @property inner the noise that the layer itself takes
 */
export type WeightNoise<P, N> = { kicks: P; inner: N };

/**
 * A layer, or a whole network, that computes with w + sigma eps wherever it is given noise; without noise it is the layer at rest.
 *
 * A schedule's step is the tick that the noise is drawn with: the step in {@link train}, the member's number in {@link predict}.
 * The gradient goes through w + sigma eps; under "rms" the RMS counts as a constant, so that no weight grows in order to be louder than the noise.
 *
 * @throws BrownianError usage for sigma below 0 (of a schedule: at the step where it is)
 *
 * @example
 * const noisy = weightNoise(sequential(linear(784, 100), relu(), linear(100, 10)), { sigma: 0.1 });
 * await train({ ...classification(noisy, dataset), key: new Key(1n), params: noisy.init(new Key(1n)), steps: 1000 });
 */
export function weightNoise<P extends Tree, N extends Tree>(
  layer: Layer<P, N>,
  options: WeightNoiseOptions,
): Layer<P, WeightNoise<P, N>> {
  const { sigma, scale = "rms", biases = false } = checkOptions("weightNoise", options, NAMES);
  checkNetwork("layer", layer);
  checkChoice("scale", scale, SCALES);
  if (typeof sigma !== "function") scheduled("sigma", sigma, 0);
  const checked: Schedule = (step) => scheduled("sigma", sigma, step);
  const shapes = kickShapes(layer, biases, checked);
  return {
    init: (key) => layer.init(key),
    noise: (batch) => ({ kicks: shapes(), inner: layer.noise(batch) }) as never,
    apply(params, x, noise) {
      if (noise === undefined) return layer.apply(params, x);
      const moved = mapTree((w, kick) => kicked(w, kick, scale === "rms", biases), params as Tree, noise.kicks as Tree) as P;
      return layer.apply(moved, x, noise.inner);
    },
  };
}

function kicked(w: Tensor, kick: Tensor, relative: boolean, biases: boolean): Tensor {
  const { numpy: np, lax } = jax();
  if (w.shape.length < 2 && !biases) {
    kick.dispose();
    return w;
  }
  checkShape("noise.kicks", kick, w.shape);
  if (!relative) return w.add(kick);
  const rms = np.sqrt(np.square(lax.stopGradient(w.ref)).mean());
  return w.add(kick.mul(rms));
}

/** The draws of the kicks: found once, from parameters made for their shapes alone. */
function kickShapes<P extends Tree, N>(layer: Layer<P, N>, biases: boolean, scale: Schedule): () => unknown {
  let known: unknown;
  return () => {
    if (known === undefined) {
      const params = layer.init(new Key(0));
      // What is not moved needs no normals; but the tree needs something in every place.
      const shapeOf = (w: Tensor) => (biases || w.shape.length > 1 ? w.shape : []);
      known = rebuild(params, (node) => (isTensor(node) ? { law: "normal", shape: shapeOf(node), scale } : undefined));
      disposeTree(params);
    }
    return known;
  };
}
