// NoisyNet (Fortunato et al., "Noisy Networks for Exploration", ICLR 2018): weights with noise whose strength is learned. An agent explores
// by its own uncertainty, and stops where that no longer pays.
//
//   y = (mu_w + sigma_w * eps_w) x + mu_b + sigma_b * eps_b,   * element by element
//
// The noise is handed in, so it is the caller who says when it changes: one draw a step (DQN) or a rollout (A3C); none for evaluation.

import { checkChoice, checkNumber, checkObject } from "../errors.js";
import { checkOptions } from "../options.js";
import { checkShape, checkTensor, jax, type Tensor } from "./autodiff.js";
import { affine, checkSizes, type Layer } from "./layers.js";

/**
 * Means and standard deviations of a {@link noisyLinear} layer.
 * @property weight means [out, in]
 * @property bias means [out]
 * @property weightSigma standard deviations [out, in]
 * @property biasSigma standard deviations [out]
 */
export type NoisyParams = { weight: Tensor; bias: Tensor; weightSigma: Tensor; biasSigma: Tensor };

/**
 * Standard normals, one a weight and one a bias.
 * @property weight [out, in]
 * @property bias [out]
 */
export type IndependentNoise = { weight: Tensor; bias: Tensor };
/**
 * Standard normals, one an input and one an output, of which the noise of every weight is made.
 * @property input [in]
 * @property output [out]
 */
export type FactorisedNoise = { input: Tensor; output: Tensor };

const KINDS = ["factorised", "independent"] as const;

/** Which noise a {@link noisyLinear} layer has, and how much of it at the start. */
export interface NoisyOptions {
  /** "factorised" (default; the paper's for DQN): in + out normals. "independent" (for A3C): in * out + out of them. */
  readonly noise?: (typeof KINDS)[number];
  /**
   * The strength at the start. Factorised: sigma_0, default 0.5, every sigma is sigma_0 / sqrt(in). Independent: sigma itself, default
   * 0.017. At least 0.
   */
  readonly sigma?: number;
}

/** The paper's strengths at the start (section 3.2). */
const SIGMA = { factorised: 0.5, independent: 0.017 };

/**
 * A linear layer with learned noise on every weight and bias (Fortunato et al. 2018, eq. 9).
 *
 * Independent: eps standard normals, mu uniform in ±sqrt(3 / in). Factorised (eq. 10, 11): eps_w[j, i] = f(e_i) f(e'_j), eps_b[j] =
 * f(e'_j), f(x) = sign(x) sqrt|x|, e and e' standard normals, mu uniform in ±1 / sqrt(in). There Var eps_w = 2 / pi and Var eps_b = sqrt(2
 * / pi); all are uncorrelated, but not independent: weights of one input share its e_i.
 *
 * `apply` without noise computes with mu alone: evaluation.
 *
 * @param inputs the length of x; @param outputs the length of y; both at least 1
 * @throws BrownianError usage for sizes below 1, sigma below 0, an unknown kind of noise, tensors of other shapes
 *
 * @example
 * const layer = noisyLinear(100, 2);
 * const noise = draw<FactorisedNoise>(layer.noise(1), new Key(42n).child("noise"), episode); // one draw an episode
 */
export function noisyLinear(
  inputs: number,
  outputs: number,
  options: NoisyOptions & { readonly noise: "independent" },
): Layer<NoisyParams, IndependentNoise>;
export function noisyLinear(
  inputs: number,
  outputs: number,
  options?: NoisyOptions & { readonly noise?: "factorised" },
): Layer<NoisyParams, FactorisedNoise>;
export function noisyLinear(
  inputs: number,
  outputs: number,
  options: NoisyOptions = {},
): Layer<NoisyParams, IndependentNoise> | Layer<NoisyParams, FactorisedNoise> {
  const { noise: kind = "factorised", sigma = SIGMA[kind] } = checkOptions<NoisyOptions>("noisyLinear", options, {
    noise: true,
    sigma: true,
  });
  checkSizes(inputs, outputs);
  checkChoice("noise", kind, KINDS);
  checkNumber("sigma", sigma, 0);
  const factorised = kind === "factorised";
  const bound = Math.sqrt((factorised ? 1 : 3) / inputs);
  const start = factorised ? sigma / Math.sqrt(inputs) : sigma;

  const init: Layer<NoisyParams, never>["init"] = (key) => {
    const uniform = (name: string, shape: number[]) =>
      key
        .child(name)
        .uniform(shape)
        .mul(2 * bound)
        .sub(bound);
    const { numpy: np } = jax();
    return {
      weight: uniform("weight", [outputs, inputs]),
      bias: uniform("bias", [outputs]),
      weightSigma: np.full([outputs, inputs], start),
      biasSigma: np.full([outputs], start),
    };
  };
  const apply = (params: NoisyParams, x: Tensor, epsilon?: IndependentNoise): Tensor => {
    const { weight, bias, weightSigma, biasSigma } = params;
    if (epsilon === undefined) {
      weightSigma.dispose();
      biasSigma.dispose();
      return affine(weight, bias, x);
    }
    checkShape("weightSigma", weightSigma, weight.shape);
    checkShape("noise.weight", epsilon.weight, weight.shape);
    checkShape("noise.bias", epsilon.bias, bias.shape);
    return affine(weight.add(weightSigma.mul(epsilon.weight)), bias.add(biasSigma.mul(epsilon.bias)), x);
  };
  const independent: Layer<NoisyParams, IndependentNoise> = {
    init,
    noise: () => ({ weight: { law: "normal", shape: [outputs, inputs] }, bias: { law: "normal", shape: [outputs] } }),
    apply,
  };
  const shared: Layer<NoisyParams, FactorisedNoise> = {
    init,
    noise: () => ({ input: { law: "normal", shape: [inputs] }, output: { law: "normal", shape: [outputs] } }),
    apply: (params, x, noise) => apply(params, x, noise === undefined ? undefined : factorisedNoise(noise)),
  };
  return factorised ? shared : independent;
}

/**
 * eps_w[j, i] = f(e_i) f(e'_j) and eps_b[j] = f(e'_j), f(x) = sign(x) sqrt|x| (Fortunato et al. 2018, eq. 10 and 11).
 * @param noise standard normals: input [in], output [out]; consumed. @returns weight [out, in], bias [out]
 *
 * @example
 * const normal = (n: number) => new Key(1n).normal([n]);
 * factorisedNoise({ input: normal(100), output: normal(2) }).weight.shape; // [2, 100]
 */
export function factorisedNoise(noise: FactorisedNoise): IndependentNoise {
  const { input, output } = checkObject("noise", noise);
  checkTensor("noise.input", input);
  checkTensor("noise.output", output);
  const [inputs, outputs] = [input.shape[0] as number, output.shape[0] as number];
  checkShape("noise.input", input, [null]);
  checkShape("noise.output", output, [null]);
  const bias = signedRoot(output);
  return { weight: bias.ref.reshape([outputs, 1]).mul(signedRoot(input).reshape([1, inputs])), bias };
}

function signedRoot(x: Tensor): Tensor {
  const { numpy: np } = jax();
  return np.sign(x.ref).mul(np.sqrt(np.abs(x)));
}
