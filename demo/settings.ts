// What the reader can set, and how a link carries it: #T=0.8&sigma=0.1&seed=7&prompt=... Pure; whatever a link says, settings come out valid.

export interface Settings {
  /** Softmax temperature of the left column. */
  readonly temperature: number;
  /** Noise on the weights of the right column, in units of each tensor's RMS. */
  readonly sigma: number;
  /** Of the dice and of the noise. */
  readonly seed: number;
  readonly prompt: string;
}

interface Dial {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

export const DIALS = {
  temperature: { min: 0, max: 1.5, step: 0.05 },
  sigma: { min: 0, max: 0.4, step: 0.005 },
  seed: { min: 0, max: 99, step: 1 },
} as const satisfies Record<string, Dial>;

/** The calibrated flip rates of the two columns are about equal here (21 %). */
export const DEFAULTS: Settings = { temperature: 0.3, sigma: 0.11, seed: 3, prompt: "Once upon a time" };

/** Characters; the model's context is 256 tokens. */
export const PROMPT_AT_MOST = 200;

/** The settings of a link's fragment; what is missing or no number keeps its default, what is out of range is brought into it. */
export function settingsOf(hash: string): Settings {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    temperature: onDial(DIALS.temperature, given.get("T"), DEFAULTS.temperature),
    sigma: onDial(DIALS.sigma, given.get("sigma"), DEFAULTS.sigma),
    seed: onDial(DIALS.seed, given.get("seed"), DEFAULTS.seed),
    prompt: (given.get("prompt") ?? DEFAULTS.prompt).slice(0, PROMPT_AT_MOST),
  };
}

/** The fragment of a link to these settings. */
export function hashOf({ temperature, sigma, seed, prompt }: Settings): string {
  const fields = [`T=${temperature}`, `sigma=${sigma}`, `seed=${seed}`, `prompt=${encodeURIComponent(prompt)}`];
  return `#${fields.join("&")}`;
}

/** The dial's nearest position. */
export function onDial({ min, max, step }: Dial, given: string | null, otherwise: number): number {
  const value = given === null || given.trim() === "" ? Number.NaN : Number(given);
  if (Number.isNaN(value)) return otherwise;
  const steps = Math.round((Math.min(Math.max(value, min), max) - min) / step);
  return Number((min + steps * step).toFixed(6));
}
