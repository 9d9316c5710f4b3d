// Metropolis on the codes (Metropolis et al., J. Chem. Phys. 21, 1087, 1953; cooled: Kirkpatrick et al., Science 220, 671, 1983): one move at a time
// is proposed, and taken with probability min(1, e^((r' - r)/T)), where r and r' are the rewards without it and with it, on the same questions.

import { Noise } from "../noise/index.js";
import type { Strategy } from "./strategy.js";

/**
 * @param from temperature of the first generation, in units of the reward
 * @param to of the last: it falls by one factor a generation
 */
export function annealing(seed: bigint, generations: number, from: number, to: number): Strategy {
  const dice = new Noise(seed).stream("evolve metropolis");
  const cooling = generations > 1 && from > 0 ? (to / from) ** (1 / (generations - 1)) : 1;
  const u = new Float32Array(1);
  return {
    name: "anneal",
    draws: 1,
    members: [
      { draw: 0, sign: 0 },
      { draw: 0, sign: 1 },
    ],
    tell(rewards, generation) {
      const [before, after] = rewards as [number, number];
      const temperature = from * cooling ** generation;
      dice.uniform(u, { tick: generation });
      const taken = after > before || (temperature > 0 && (u[0] as number) < Math.exp((after - before) / temperature));
      return [0, taken ? 1 : 0];
    },
  };
}
