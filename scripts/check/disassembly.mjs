// Looks for instructions that an addon must not hold in compiled code.
import { spawnSync } from "node:child_process";

const FUSED = /\bv?f(n?m(add|sub)|maddsub|msubadd)|\bf(n?ml[as]|m[as]b)/;
/** Moves to or from memory that fault unless the address is a multiple of the vector's size. */
const ALIGNED = /\bvmov(ap[sd]|dqa(32|64)?)\b.*\(/;

/** Instructions in this object file, by this objdump; those of them that multiply and add with a single rounding, and those that need aligned memory. */
export function disassemble(objdump, file) {
  const { stdout } = spawnSync(objdump, ["-d", "--no-show-raw-insn", file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const instructions = stdout.split("\n").filter((line) => /^\s+[0-9a-f]+:\t/.test(line));
  const those = (pattern) => instructions.filter((line) => pattern.test(line));
  return { count: instructions.length, fused: those(FUSED), aligned: those(ALIGNED) };
}

/** The functions of this object file that use vectors of 256 bits or more, by their names in C++. */
export function wideFunctions(objdump, file) {
  const { stdout } = spawnSync(objdump, ["-d", "-C", "--no-show-raw-insn", file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const found = new Set();
  let name = "";
  for (const line of stdout.split("\n")) {
    name = /^[0-9a-f]+ <(.*)>:$/.exec(line)?.[1] ?? name;
    if (/%[yz]mm\d/.test(line)) found.add(name);
  }
  return [...found];
}
