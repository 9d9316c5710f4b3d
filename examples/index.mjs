// The table of experiments: one line each. `npm run examples` runs them in this order; each file also runs alone (`node examples/NAME.mjs`).
// `seconds` is about what a processor works on one: the progress bar's measure.

/**
 * @typedef {(size: "full" | "small", progress: (share: number, what: string) => void) => Promise<import("./experiment.mjs").Experiment>} Run
 * @type {readonly { name: string, seconds: number, load: () => Promise<{ run: Run }> }[]}
 */
export const EXPERIMENTS = [
  { name: "temperature-scaling", seconds: 17, load: () => import("./temperature-scaling.mjs") },
  { name: "distillation", seconds: 70, load: () => import("./distillation.mjs") },
  { name: "deep-sea", seconds: 100, load: () => import("./deep-sea.mjs") },
  { name: "bayes-by-backprop", seconds: 120, load: () => import("./bayes-by-backprop.mjs") },
  { name: "weight-noise", seconds: 60, load: () => import("./weight-noise.mjs") },
  { name: "sgld-density", seconds: 30, load: () => import("./sgld-density.mjs") },
  { name: "sgld-mnist", seconds: 60, load: () => import("./sgld-mnist.mjs") },
  { name: "moving-weights", seconds: 84, load: () => import("./moving-weights.mjs") },
  { name: "languages", seconds: 18, load: () => import("./languages.mjs") },
];
