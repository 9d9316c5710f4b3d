// Options that several commands share, and how their texts are read. Ranges are checked by the library, which knows them.

import { type Command, InvalidArgumentError, Option } from "commander";
import { Rounding } from "../laws/numbers.js";
import { CARRIERS, type CarrierName, type NoiseSettings } from "../thermostat/noise.js";
import { SCALES, type Scale, type ScaleOptions, type ScaleRule, scaleOptions } from "../thermostat/scales/index.js";

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

/** Which tensors move, and what sigma is relative to. */
export interface TensorOptions extends ScaleOptions {
  readonly scale: Scale;
  readonly only?: string[];
  readonly skipUnsupported?: boolean;
}

/** The settings of the noise that `generate` and `perturb` have in common. */
export interface NoiseOptions extends TensorOptions {
  readonly rounding: Rounding;
}

export function addTensorOptions(command: Command, scales: readonly Scale[] = Object.keys(SCALES) as Scale[]): Command {
  command.addOption(new Option("--scale <scale>", "what sigma is relative to").choices(scales).default("rms"));
  for (const [scale, { file }] of Object.entries<ScaleRule>(SCALES))
    if (file !== undefined) command.option(`--${file.option} <file>`, `with --scale ${scale}: ${file.summary}`);
  return command
    .option("--only <glob>", "move only tensors whose names match; may be given several times", collect)
    .option("--skip-unsupported", "leave tensors of types that cannot move alone instead of refusing");
}

export function addNoiseOptions(command: Command): Command {
  return addTensorOptions(
    command.addOption(
      new Option("--rounding <rounding>", "how a move is put on the grid of codes")
        .choices(Object.keys(Rounding))
        .default("matched"),
    ),
  );
}

/** What brings the noise to the engine. */
export interface CarrierFlags {
  readonly carrier?: CarrierName;
  readonly rank?: number;
}

export function addCarrierOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--carrier <carrier>",
        "what brings the noise to the engine: moves in a copy, or low-rank noise beside the weights",
      )
        .choices(CARRIERS)
        .default("live"),
    )
    .option("--rank <r>", "with --carrier adapter: of the noise on each matrix (default: 1)", parseWhole);
}

/** What the library is told of these settings. */
export function tensorSettings(options: TensorOptions): Omit<NoiseSettings, "sigma" | "seed" | "rounding"> {
  const { scale, only, skipUnsupported } = options;
  return { ...scaleOptions(options), scale, only, skipUnsupported };
}

export function noiseSettings(options: NoiseOptions): Omit<NoiseSettings, "sigma" | "seed"> {
  return { ...tensorSettings(options), rounding: options.rounding };
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
