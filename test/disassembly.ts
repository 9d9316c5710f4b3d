// Looks for fused multiply-adds in compiled code.
import { spawnSync } from "node:child_process";

const FUSED = /\bv?f(n?m(add|sub)|maddsub|msubadd)|\bf(n?ml[as]|m[as]b)/;

/** Instructions in this object file, by this objdump, and those of them that multiply and add with a single rounding (x86-64, AArch64). */
export function disassemble(objdump: string, file: string): { readonly count: number; readonly fused: string[] } {
  const { stdout } = spawnSync(objdump, ["-d", "--no-show-raw-insn", file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const instructions = stdout.split("\n").filter((line) => /^\s+[0-9a-f]+:\t/.test(line));
  return { count: instructions.length, fused: instructions.filter((line) => FUSED.test(line)) };
}
