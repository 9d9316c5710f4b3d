// Options that several commands share, and how their texts are read. Ranges are checked by the library, which knows them.

import { fileURLToPath } from "node:url";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Rounding } from "../laws/numbers.js";
import type { NoiseSettings } from "../thermostat/noise.js";
import { SCALES, type Scale, type ScaleOptions, type ScaleRule, scaleOptions } from "../thermostat/scales/index.js";

/** The small language model that ships with brownian. */
export const EMBEDDED_MODEL = fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url));

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("It is not a number.");
  return value;
}

export function parseWhole(text: string): number {
  const value = parseNumber(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("It is not a whole number.");
  return value;
}

export function parseNumbers(text: string): number[] {
  return text.split(",").map(parseNumber);
}

export function parseSeed(text: string): bigint {
  try {
    if (text.trim() !== "") return BigInt(text);
  } catch {
    // said below
  }
  throw new InvalidArgumentError("It is not a whole number.");
}

function collect(glob: string, before: string[] | undefined): string[] {
  return [...(before ?? []), glob];
}

/** The settings of the noise that `generate` and `perturb` have in common. */
export interface NoiseOptions extends ScaleOptions {
  readonly scale: Scale;
  readonly rounding: Rounding;
  readonly only?: string[];
  readonly skipUnsupported?: boolean;
}

export function addNoiseOptions(command: Command): Command {
  command.addOption(new Option("--scale <scale>", "what sigma is relative to").choices(Object.keys(SCALES)).default("rms"));
  for (const [scale, { file }] of Object.entries<ScaleRule>(SCALES))
    if (file !== undefined) command.option(`--${file.option} <file>`, `with --scale ${scale}: ${file.summary}`);
  return command
    .addOption(
      new Option("--rounding <rounding>", "how a move is put on the grid of codes")
        .choices(Object.keys(Rounding))
        .default("matched"),
    )
    .option("--only <glob>", "move only tensors whose names match; may be given several times", collect)
    .option("--skip-unsupported", "leave tensors of types that cannot move alone instead of refusing");
}

/** What the library is told of these settings. */
export function noiseSettings(options: NoiseOptions): Omit<NoiseSettings, "sigma" | "seed"> {
  const { scale, rounding, only, skipUnsupported } = options;
  return { ...scaleOptions(options), scale, rounding, only, skipUnsupported };
}

/**
 * What of a scale's file moves by column, in a line; empty where the scale has none.
 * @param byColumn of each tensor, whether its sigma does
 */
export function columnsRemark(scale: Scale, byColumn: ReadonlyMap<string, boolean>): string {
  const { file }: ScaleRule = SCALES[scale];
  if (file?.otherwise === undefined) return "";
  const others = [...byColumn].filter(([, does]) => !does).map(([name]) => name);
  const some = others.slice(0, 4).join(", ") + (others.length > 4 ? ", ..." : "");
  const rest = others.length > 0 ? `; ${file.otherwise}: ${some}` : "";
  return `${scale}: ${byColumn.size - others.length} of ${byColumn.size} tensors by column${rest}\n`;
}
