// Evolution strategies with a Gaussian of fixed width (Rechenberg 1973; Salimans et al., arXiv 1703.03864; on LLM weights arXiv 2509.24372):
//
//   q += rate/n sum_i z_i k_i,   z_i the shaped reward of member i of n, k_i its move in steps
//
// E[z k] is sigma^2 times the gradient of the (shaped) reward, so rate 1 goes sigma^2 of it; the published alpha/sigma is this rate. Antithetic pairs:
// every draw together with its mirror image, so that what is even in k cancels.

import type { Member } from "./codes.js";
import { SHAPINGS, type Shaping } from "./shaping.js";
import type { Strategy } from "./strategy.js";

/** The members of a generation: pairs of mirror images, or draws of their own. */
export function membersOf(population: number, antithetic: boolean): Member[] {
  return Array.from({ length: population }, (_, i) =>
    antithetic ? { draw: i >> 1, sign: i % 2 === 0 ? 1 : -1 } : { draw: i, sign: 1 },
  );
}

export function evolutionStrategy(population: number, antithetic: boolean, rate: number, shaping: Shaping): Strategy {
  return {
    name: "evolve",
    draws: antithetic ? population / 2 : population,
    members: membersOf(population, antithetic),
    tell: (rewards) => SHAPINGS[shaping](rewards).map((z) => Math.fround((rate / population) * z)),
  };
}
