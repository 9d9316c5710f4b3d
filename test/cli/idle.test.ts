// Options that cannot act say so: every rule of the table, with command lines where it holds and where it does not.
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { addGenerateOptions, IDLE, type Options } from "../../src/cli/generate-options.js";
import { idleLines } from "../../src/cli/idle.js";
import { silentFlags } from "../../src/cli/sampling-options.js";

function linesOf(line: string): string[] {
  const command = addGenerateOptions(new Command("generate")).exitOverride();
  command.parse(line.split(" ").filter(Boolean), { from: "user" });
  return idleLines(command, command.opts<Options>(), IDLE);
}

describe("generate", () => {
  it.each([
    ["--tau 8", ["--tau: no effect with the dynamics quenched, which has no correlation time"]],
    ["--tau 8 -d white", ["--tau: no effect with the dynamics white, which has no correlation time"]],
    ["--stride 4 -d andersen", [expect.stringMatching(/^--stride: no effect with the dynamics andersen, .*langevin's$/)]],
    ["--anneal linear --sigma-end 0.01", [expect.stringMatching(/^--anneal, --sigma-end: no effect with the dynamics quenched/)]],
    ["--recompute", [expect.stringMatching(/^--recompute: no effect with the dynamics quenched/)]],
    ["-s 0 -d langevin --tau 8 --stride 2", ["--dynamics, --tau, --stride: no effect at sigma 0, where no weight moves"]],
    ["-s 0 -n 3", ["--samples: no effect at sigma 0 and temperature 0, where all texts are the same"]],
    ["--force", ["--force: no effect without --weight-temperature"]],
    ["--chat-template x", ["--chat-template: no effect without --chat"]],
  ])("%s", (line, said) => expect(linesOf(line)).toEqual(said));

  it.each([
    "",
    "--tau 8 -d andersen",
    "--tau 8 -d wiener",
    "--tau 8 --stride 4 -d langevin",
    "-d white --anneal linear --recompute",
    "-s 0,0.1 -d andersen --tau 8",
    "-s 0 -t 1 -n 3",
    "--side-by-side -n 2",
    "--weight-temperature 0.3 --force",
    "--chat hello --chat-template x",
  ])("%s: nothing to say", (line) => expect(linesOf(line)).toEqual([]));

  it("dice at temperature 0", () => {
    expect(silentFlags({ topK: 4 })).toMatch(/^--top-k: no effect at temperature 0/);
    expect(silentFlags({ topK: 4, temperature: 1 })).toBeUndefined();
  });
});
