// The flags of brownian generate.

import { type Command, Option } from "commander";
import { DYNAMICS, type Dynamics, type DynamicsName } from "../thermostat/dynamics/index.js";
import { exponential, linear } from "../thermostat/schedule.js";
import { addEngineOptions, type EngineFlags } from "./engine-options.js";
import { atRest, IDLE_TAU, type Idle } from "./idle.js";
import {
  addCarrierOptions,
  addNoiseOptions,
  type CarrierFlags,
  type NoiseOptions,
  parseNumber,
  parseNumbers,
  parseSeed,
  parseWhole,
} from "./options.js";
import { addSamplingOptions, type SamplingFlags } from "./sampling-options.js";

export interface Options extends NoiseOptions, CarrierFlags, SamplingFlags, EngineFlags {
  readonly member?: number;
  readonly subspace?: number;
  readonly model?: string;
  readonly file?: string;
  readonly chat?: string;
  readonly system?: string;
  readonly chatTemplate?: string;
  readonly sigma?: number[];
  readonly weightTemperature?: number;
  readonly force?: boolean;
  readonly dynamics: DynamicsName;
  readonly tau?: number;
  readonly stride?: number;
  readonly anneal?: "linear" | "exponential";
  readonly sigmaEnd?: number;
  readonly recompute?: boolean;
  readonly promptWeights: "moving" | "clean";
  readonly seed?: bigint;
  readonly samples: number;
  readonly maxTokens: number;
  readonly sideBySide?: boolean;
  readonly uncertainty?: boolean;
  readonly members?: number;
  readonly promptCache?: string;
  readonly json?: boolean;
}

export const DEFAULT_SIGMA = 0.05;
/** How sigma goes to its end. */
export const ANNEALING = { linear, exponential };

export function addGenerateOptions(command: Command): Command {
  textOptions(command.optionsGroup("Texts:"));
  addNoiseOptions(weightOptions(command.optionsGroup("Weights that move:")));
  addCarrierOptions(command)
    .option(
      "--member <n>",
      "with --carrier adapter: which of the seed, as brownian adapter numbers them (default: 0)",
      parseWhole,
    )
    .option("--subspace <n>", "with --carrier adapter, of langevin: members whose mixture moves (default: 4)", parseWhole);
  addSamplingOptions(command.optionsGroup("Dice at the output (docs/guides/sampling.md):"));
  return engineOptions(command.optionsGroup("Engine:")).optionsGroup("Options:");
}

function weightOptions(command: Command): Command {
  return command
    .option(
      "-s, --sigma <numbers>",
      `noise on the weights, in units of --scale; several with commas (default: ${DEFAULT_SIGMA})`,
      parseNumbers,
    )
    .option(
      "--weight-temperature <T>",
      "instead of sigma: as surprising as softmax at T, by the model's calibration",
      parseNumber,
    )
    .option("--force", "with --weight-temperature, also where moving weights break the model")
    .addOption(
      new Option("-d, --dynamics <name>", "how the noise evolves over tokens").choices(Object.keys(DYNAMICS)).default("quenched"),
    )
    .option("--tau <tokens>", "correlation time of the noise (default: 32)", parseNumber)
    .option(
      "--stride <tokens>",
      "of langevin and wiener: tokens between two visits of a weight (default: tau/2, at most 64)",
      parseWhole,
    )
    .addOption(
      new Option("--anneal <how>", "let sigma go to --sigma-end while the text is written").choices(Object.keys(ANNEALING)),
    )
    .option("--sigma-end <number>", "where --anneal ends, at --max-tokens (default: a tenth of sigma)", parseNumber)
    .option("--recompute", "evaluate the whole context anew for every token, with the weights as they are then")
    .addOption(
      new Option("--prompt-weights <which>", "the weights that read the prompt").choices(["moving", "clean"]).default("moving"),
    );
}

function textOptions(command: Command): Command {
  return command
    .option("-m, --model <file>", "GGUF model (default: the one that ships with brownian)")
    .option("-f, --file <file>", "continue the text in a file (-: stdin)")
    .option("--chat <question>", "answer a question instead of continuing a text, by the model's chat template")
    .option("--system <text>", "with --chat: how it is to be answered")
    .option("--chat-template <file>", "Jinja in the place of the model's own chat template")
    .option("--seed <n>", "of the weights and of the dice (default: another one every time)", parseSeed)
    .option("-n, --samples <n>", "texts to write for each sigma, with seeds counting up", parseWhole, 1)
    .option("--max-tokens <n>", "tokens to write at most", parseWhole, 100)
    .option("--side-by-side", "compare in columns: clean and greedy, softmax, and each sigma")
    .option(
      "--uncertainty",
      "write with the clean weights, and underline what an ensemble of moved ones disagrees about; numbers with --json",
    )
    .option("--members <n>", "with --uncertainty: draws of the weights (default: 8)", parseWhole)
    .option("--json", "print one JSON document");
}

function engineOptions(command: Command): Command {
  return addEngineOptions(command).option(
    "--prompt-cache <file>",
    "keep what the engine computes of the prompt there, and go on from it the next time",
  );
}

const still = ({ sigma = [DEFAULT_SIGMA] }: Options): boolean => sigma.every((one) => one === 0);

/** Those that cannot act. (Where the likeliest token is taken: see silentFlags in sampling-options.ts.) */
export const IDLE: readonly Idle<Options>[] = [
  {
    names: ["dynamics", "tau", "stride", "anneal", "sigmaEnd", "recompute", "promptWeights", "scale", "rounding", "only"],
    when: still,
    why: "at sigma 0, where no weight moves",
  },
  { ...IDLE_TAU, when: (options) => !still(options) && IDLE_TAU.when(options) },
  {
    names: ["stride"],
    when: (options) => !still(options) && (DYNAMICS[options.dynamics] as Dynamics).stride === undefined,
    why: ({ dynamics }) => `with the dynamics ${dynamics}, whose weights are not visited in turns: that is langevin's`,
  },
  {
    names: ["anneal", "sigmaEnd", "recompute"],
    when: (options) => !still(options) && atRest(options),
    why: ({ dynamics }) => `with the dynamics ${dynamics}, whose weights stay as they were drawn while a text is written`,
  },
  {
    names: ["samples"],
    when: (options) => still(options) && !options.temperature && !options.sideBySide && options.samples > 1,
    why: "at sigma 0 and temperature 0, where all texts are the same",
  },
  { names: ["force"], when: ({ weightTemperature }) => weightTemperature === undefined, why: "without --weight-temperature" },
  { names: ["chatTemplate"], when: ({ chat }) => chat === undefined, why: "without --chat" },
];
