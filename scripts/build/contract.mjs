// Writes native/contract.h and assembly/contract.ts from src/laws/numbers.ts, where these numbers are written by hand. Run it after a change there
// (`node scripts/build/contract.mjs`); test/house/contract.test.ts fails where either file is not what this makes.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SOURCE = "src/laws/numbers.ts";
const MADE = `Made by scripts/build/contract.mjs from ${SOURCE}, which says what each number means: change it there.`;

/** Numbers that count weights or bytes in memory: size_t in C++. */
const LENGTHS = [
  "CELL",
  "COLLISION_CELL",
  "SUM_LEAF",
  "SUM_CUT",
  "ROW_SPAN",
  "SHARED_TILE",
  "SHARED",
  "HIT_GROUP",
  "LOGIT_LANES",
];
/** What unsigned arithmetic is done with. */
const UNSIGNED = ["ALIAS_FIRST", "ALIAS_STILL", "ALIAS_ROW"];
/** What sets the names of a group apart. */
const PREFIX = { StepKind: "Step", LogitColumn: "Logit" };
const SUFFIX = { Purpose: "Purpose" };
const SUFFIX_WASM = { ...SUFFIX, Kind: "Kind" };

async function numbers() {
  const { outputFiles } = await build({ entryPoints: [join(ROOT, SOURCE)], bundle: true, format: "esm", write: false });
  const module = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
  const all = Object.entries(module);
  // In the order of the file: modules list their names by the alphabet.
  const source = readFileSync(join(ROOT, SOURCE), "utf8");
  const at = ([name]) => source.indexOf(`export const ${name} `);
  all.sort((a, b) => at(a) - at(b));
  return {
    groups: all.filter(([, value]) => typeof value === "object"),
    single: all.filter(([, value]) => typeof value === "number"),
  };
}

const pascal = (name) => (/^b?f\d+$/.test(name) ? name.toUpperCase() : name[0].toUpperCase() + name.slice(1));
const fromSnake = (name) => name.toLowerCase().replace(/(?:^|_)(\w)/g, (_, letter) => letter.toUpperCase());
const snake = (name) => name.replace(/([a-z\d])([A-Z])/g, "$1_$2").toUpperCase();

function header({ groups, single }) {
  const enums = groups.map(([group, entries]) => {
    const type = group === "Purpose" ? "uint32_t" : "int";
    const lines = Object.entries(entries).map(
      ([name, value]) => `  k${PREFIX[group] ?? ""}${pascal(name)}${SUFFIX[group] ?? ""} = ${value},`,
    );
    return `enum ${group} : ${type} {\n${lines.join("\n")}\n};\n`;
  });
  const typeOf = (name) => (LENGTHS.includes(name) ? "size_t" : UNSIGNED.includes(name) ? "uint32_t" : "int");
  const constants = single.map(([name, value]) => `constexpr ${typeOf(name)} k${fromSnake(name)} = ${value};`);
  return `// ${MADE}
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace brownian {

${enums.join("\n")}
${constants.join("\n")}

}  // namespace brownian
`;
}

function assembly({ groups, single }) {
  const named = groups.flatMap(([group, entries]) =>
    Object.entries(entries).map(([name, value]) => {
      const parts = [PREFIX[group], name, SUFFIX_WASM[group]].filter((part) => part !== undefined);
      return `export const ${parts.map(snake).join("_")}: ${group === "Purpose" ? "u32" : "i32"} = ${value};`;
    }),
  );
  return `// ${MADE}

${named.join("\n")}

${single.map(([name, value]) => `export const ${name}: i32 = ${value};`).join("\n")}
`;
}

/** The files by their paths. */
export async function contract() {
  const known = await numbers();
  return { "native/contract.h": header(known), "assembly/contract.ts": assembly(known) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(await contract())) writeFileSync(join(ROOT, path), text);
}
