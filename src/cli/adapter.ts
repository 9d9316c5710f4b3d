// brownian adapter: draws of the weights as LoRA adapters, for engines that no write to a file reaches.

import { Argument, Command, Option } from "commander";
import { ADAPTER_FORMATS, type AdapterFormatName, mergeMember, servingLines, writeAdapters } from "../adapters/index.js";
import { BrownianError } from "../errors.js";
import { defaultModel } from "../llama/index.js";
import { bytes, grouped } from "../report/table.js";
import type { Scale } from "../thermostat/scales/index.js";
import type { Invocation } from "./command.js";
import { given } from "./inputs.js";
import { addTensorOptions, parseNumbers, parseSeed, parseWhole, type TensorOptions, tensorSettings } from "./options.js";
import { MODEL } from "./perturb.js";
import { printResult, remark } from "./print.js";
import { withProgress } from "./progress.js";

interface Options extends TensorOptions {
  readonly output: string;
  readonly members?: number;
  readonly sigma: number[];
  readonly rank: number;
  readonly seed: bigint;
  readonly format?: AdapterFormatName | "both";
  readonly antithetic?: boolean;
  readonly merge?: number;
  readonly json?: boolean;
}

/** Those that an adapter can be written in. */
const SCALES: readonly Scale[] = ["rms", "absolute", "imatrix"];

export function adapterCommand({ signal }: Invocation): Command {
  const command = new Command("adapter")
    .description("write draws of the weights as LoRA adapters, for llama-server, vLLM, GPUs and clusters")
    .addArgument(new Argument("[model]", MODEL).default(defaultModel, "the one that ships with brownian"))
    .requiredOption("-o, --output <folder>", "where they go (with --merge: a file); it appears whole or not at all")
    .option("--members <n>", "draws of the weights (default: 16)", parseWhole)
    .option(
      "-s, --sigma <numbers>",
      "noise on the weights, in units of --scale, that scale 1 of a request gives; several with commas: PEFT files of each",
      parseNumbers,
      [0.07],
    )
    .option("--rank <r>", "of the noise on each matrix", parseWhole, 1)
    .addOption(new Option("--seed <n>", "equal seeds give equal members").argParser(parseSeed).default(0n, "0"))
    .addOption(
      new Option("--format <format>", "gguf: llama-server, brownian; peft: vLLM, SGLang, TGI (default: gguf)").choices([
        ...Object.keys(ADAPTER_FORMATS),
        "both",
      ]),
    )
    .option("--antithetic", "mirror images too: scale -1 of a GGUF adapter, PEFT files of their own")
    .option("--merge <member>", "write the model with this member added to its weights (moved matrices of GGUF: F16)", parseWhole)
    .option("--json", "print the manifest");
  return addTensorOptions(command, SCALES).action((model: string, options: Options) => run(model, options, signal));
}

async function run(model: string, options: Options, signal: AbortSignal): Promise<void> {
  const { rank, seed, output, merge } = options;
  const settings = { ...tensorSettings(options), rank, seed, signal };
  if (merge !== undefined) return merged(model, merge, options, settings);
  const { members, sigma, format, antithetic } = options;
  const asked = { ...settings, ...given({ members, format, antithetic }), sigma };
  const manifest = await withProgress("writing members", (onProgress) =>
    writeAdapters(model, output, {
      ...asked,
      onProgress,
      onPlan: (plan) => {
        remark(
          `${plan.files} members of rank ${rank}: ${plan.matrices} matrices (${grouped(plan.weights)} weights) each, ${bytes(plan.bytesEach)}; ${bytes(plan.bytes)} in all`,
        );
        for (const reason of new Set(plan.skipped.map((skipped) => skipped.reason)))
          remark(`left alone: ${plan.skipped.filter((skipped) => skipped.reason === reason).length} tensors (${reason})`);
      },
    }),
  );
  printResult(options.json, manifest, () =>
    [`${output}: members 0 to ${Math.max(...manifest.members.map(({ member }) => member))} of seed ${manifest.seed}`]
      .concat(servingLines(manifest, output))
      .join("\n"),
  );
}

async function merged(
  model: string,
  member: number,
  { output, sigma, members, format, antithetic, json }: Options,
  settings: object,
): Promise<void> {
  const [own, ...others] = sigma;
  if (own === undefined || others.length > 0 || members !== undefined || format !== undefined || antithetic)
    throw new BrownianError("usage", "--merge writes one member at one sigma: leave out --members, --format and --antithetic.");
  const done = await withProgress("adding the member", (onProgress) =>
    mergeMember(model, output, { ...settings, sigma: own, member, onProgress }),
  );
  printResult(json, { model, output, member, sigma: own, ...done }, () => {
    const what = `member ${member} added to ${done.matrices} matrices (${grouped(done.weights)} weights)`;
    return `${output}: ${what}, ${bytes(done.bytes)}`;
  });
}
