// Rewards as a search takes them: on one scale, whatever the reward is measured in. All have mean 0.

/**
 * Ways to bring rewards on one scale:
 * "ranks", (rank - (n - 1)/2) over its standard deviation, ties shared: outliers count no more than their place (Salimans et al., arXiv 1703.03864,
 * after Wierstra et al. 2014);
 * "scores", (r - mean) over the standard deviation (arXiv 2509.24372).
 */
export const SHAPINGS = { ranks, scores } as const;
/** One of {@link SHAPINGS}. */
export type Shaping = keyof typeof SHAPINGS;

/** Standard scores; all 0 where the rewards are one. */
export function scores(rewards: readonly number[]): number[] {
  const mean = rewards.reduce((sum, r) => sum + r, 0) / rewards.length;
  const deviation = Math.sqrt(rewards.reduce((sum, r) => sum + (r - mean) * (r - mean), 0) / rewards.length);
  // What rounding leaves of equal rewards is no difference.
  return rewards.map((r) => (deviation > 1e-12 * Math.abs(mean) ? (r - mean) / deviation : 0));
}

/** Standard scores of ranks: equal rewards share the mean of theirs. */
export function ranks(rewards: readonly number[]): number[] {
  return scores(
    rewards.map((r) => {
      const below = rewards.filter((other) => other < r).length;
      const equal = rewards.filter((other) => other === r).length;
      return below + (equal - 1) / 2;
    }),
  );
}

/** Why nothing follows from the rewards of these, where that is so: one is no number, or all are one. @param who what a candidate is called */
export function whyStood(rewards: readonly number[], who: string): string | undefined {
  const wrong = rewards.findIndex((r) => !Number.isFinite(r));
  if (wrong >= 0) return `the reward of ${who} ${wrong} is ${rewards[wrong]}`;
  return rewards.every((r) => r === rewards[0]) ? `all ${who}s have the same reward, ${rewards[0]}` : undefined;
}
