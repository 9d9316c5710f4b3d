// Looks for instructions that an addon must not hold in compiled code.
import { spawnSync } from "node:child_process";

const FUSED = /\bv?f(n?m(add|sub)|maddsub|msubadd)|\bf(n?ml[as]|m[as]b)/;
/** Moves to or from memory that fault unless the address is a multiple of the vector's size. */
const ALIGNED = /\bvmov(ap[sd]|dqa(32|64)?)\b.*\(/;

/**
 * Instructions in this object file, by this objdump; those of them that multiply and add with a single rounding, and those that need aligned memory;
 * and the functions, by their names in C++, that use vectors of 256 bits or more.
 */
export function disassemble(objdump, file) {
  const { stdout } = spawnSync(objdump, ["-d", "-C", "--no-show-raw-insn", file], { encoding: "utf8", maxBuffer: 1 << 28 });
  const seen = { count: 0, fused: [], aligned: [], wide: new Set() };
  let name = "";
  for (const line of stdout.split("\n")) {
    name = /^[0-9a-f]+ <(.*)>:$/.exec(line)?.[1] ?? name;
    const code = /^\s+[0-9a-f]+:\t([^<#]*)/.exec(line)?.[1];
    if (code === undefined) continue;
    seen.count++;
    if (FUSED.test(code)) seen.fused.push(line);
    if (ALIGNED.test(code)) seen.aligned.push(line);
    if (/%[yz]mm\d/.test(code)) seen.wide.add(name);
  }
  return { ...seen, wide: [...seen.wide] };
}
