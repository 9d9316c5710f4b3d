// Options that several commands share, and how their texts are read. Ranges are checked by the library, which knows them.

import { fileURLToPath } from "node:url";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Rounding } from "../laws/numbers.js";
import { SCALES } from "../thermostat/scales/index.js";

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

/** The dials of the noise that `generate` and `perturb` have in common. */
export interface NoiseOptions {
  readonly scale: keyof typeof SCALES;
  readonly imatrix?: string;
  readonly rounding: Rounding;
  readonly only?: string[];
  readonly skipUnsupported?: boolean;
}

export function addNoiseOptions(command: Command): Command {
  return command
    .addOption(new Option("--scale <scale>", "what sigma is relative to").choices(Object.keys(SCALES)).default("rms"))
    .option("--imatrix <file>", "with --scale imatrix: the model's importance matrix (GGUF, by llama-imatrix)")
    .addOption(
      new Option("--rounding <rounding>", "how a move is put on the grid of codes")
        .choices(Object.keys(Rounding))
        .default("matched"),
    )
    .option("--only <glob>", "move only tensors whose names match; may be given several times", collect)
    .option("--skip-unsupported", "leave tensors of types that cannot move alone instead of refusing");
}

export function noiseSettings(options: NoiseOptions) {
  const { scale, imatrix, rounding, only, skipUnsupported } = options;
  return { scale, imatrix, rounding, only, skipUnsupported: skipUnsupported ?? false };
}

/** What of a model moves by column, in a line. @param byRms the tensors that the importance matrix lacks */
export function byColumn(tensors: number, byRms: readonly string[]): string {
  const some = byRms.slice(0, 4).join(", ") + (byRms.length > 4 ? ", ..." : "");
  return `imatrix: ${tensors - byRms.length} of ${tensors} tensors by column${byRms.length > 0 ? `; by RMS: ${some}` : ""}\n`;
}
