// The table of experiments: one line each. `npm run examples` runs them in this order; each file also runs alone
// (`node examples/NAME.mjs`). `seconds` is about what one takes on a free core: the progress bar's measure.

/**
 * @typedef {(size: "full" | "small", progress: (share: number, what: string) => void) => Promise<import("./experiment.mjs").Experiment>} Run
 * @type {readonly { name: string, seconds: number, load: () => Promise<{ run: Run }> }[]}
 */
export const EXPERIMENTS = [
  { name: "temperature-scaling", seconds: 15, load: () => import("./temperature-scaling.mjs") },
  { name: "distillation", seconds: 60, load: () => import("./distillation.mjs") },
  { name: "deep-sea", seconds: 90, load: () => import("./deep-sea.mjs") },
  { name: "moving-weights", seconds: 60, load: () => import("./moving-weights.mjs") },
  { name: "languages", seconds: 20, load: () => import("./languages.mjs") },
];
