// Pick the best: draws around the base, of which the one with the greatest reward is taken, and nothing else is learned (RandOpt, arXiv 2603.12228,
// without its vote). The control that every search has to beat at the same number of readings. Rewards are compared over generations, so all of
// them ask the same questions.

import type { Strategy } from "./strategy.js";

export function bestOf(population: number): Strategy {
  let best: { readonly reward: number; readonly generation: number; readonly draw: number } | undefined;
  const none = new Array<number>(population).fill(0);
  return {
    name: "best",
    draws: population,
    members: Array.from({ length: population }, (_, draw) => ({ draw, sign: 1 as const })),
    tell(rewards, generation) {
      for (const [draw, reward] of rewards.entries())
        if (best === undefined || reward > best.reward) best = { reward, generation, draw };
      return none;
    },
    last: () => best && { generation: best.generation, weights: none.map((_, draw) => (draw === best?.draw ? 1 : 0)) },
  };
}
