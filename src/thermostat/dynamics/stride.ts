// How often dynamics that go round the weights come to each of them. A kick of m ticks at once has the variance of m kicks, and looking at a weight
// is what costs: where few codes move, a tick is to look at few.

/** Ticks between visits at most, unless told otherwise: beyond, visits cost little beside what an engine does in a tick. */
const MOST = 64;

/** Half of tau, whole, at least 1 and at most 64. */
export const halfOfTau = (tau: number): number => Math.max(1, Math.min(MOST, Math.floor(tau / 2)));
