// Writes src/engine/llama-c/releases.ts: the layout of llama.cpp's structures in the releases whose libraries are known.
//   node scripts/build/engine-releases.mjs FOLDER ...
// Each FOLDER has a package node-llama-cpp and the @node-llama-cpp package of this platform in node_modules (`npm install node-llama-cpp@X` makes
// one). Offsets come from that package's own header, compiled by cc; defaults from its own library, opened by our addon.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Fields that are set, and those that pointers go to. */
const FIELDS = {
  model: {
    struct: "llama_model_params",
    known:
      "devices tensor_buft_overrides n_gpu_layers split_mode load_mode lazy_mode main_gpu tensor_split progress_callback progress_callback_user_data kv_overrides vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp",
  },
  context: {
    struct: "llama_context_params",
    known:
      "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq n_threads n_threads_batch ctx_type rope_scaling_type pooling_type attention_type flash_attn_type rope_freq_base rope_freq_scale yarn_ext_factor yarn_attn_factor yarn_beta_fast yarn_beta_slow yarn_orig_ctx defrag_thold cb_eval cb_eval_user_data type_k type_v abort_callback abort_callback_data embeddings offload_kqv no_perf op_offload swa_full kv_unified samplers n_samplers ctx_other",
  },
};

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", ...options });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr || result.error}`);
  return result.stdout;
}

/** The names of the functions that native/engine/library.h declares. */
const functions = [...readFileSync(join(ROOT, "native/engine/library.h"), "utf8").matchAll(/^ {2}F\((\w+), /gm)].map(
  ([, name]) => `llama_${name}`,
);

/** What the header says of these functions and of the small structures that they take, as one hash: another one needs another library.h. */
function declarations(header) {
  const plain = header.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, " ").replace(/\s+/g, " ");
  const said = functions.map((name) => {
    const found = new RegExp(`LLAMA_API ([^;{}]*?\\b${name} ?\\([^;]*?\\));`).exec(plain);
    if (found === null) throw new Error(`the header has no ${name}`);
    return found[1].replace(/ ?([(),*]) ?/g, "$1");
  });
  for (const struct of [
    "llama_batch",
    "llama_logit_bias",
    "llama_sampler_chain_params",
    "llama_token_data",
    "llama_token_data_array",
  ])
    said.push(new RegExp(`struct ${struct} \\{([^}]*)\\}`).exec(plain)[1]);
  return createHash("sha256").update(said.join("\n")).digest("hex").slice(0, 16);
}

function layouts(include, scratch) {
  const lines = Object.values(FIELDS).flatMap(({ struct, known }) => [
    `printf("%zu", sizeof(struct ${struct}));`,
    ...known
      .split(" ")
      .map((field) => `printf(" %zu:%zu", offsetof(struct ${struct}, ${field}), sizeof(((struct ${struct}*)0)->${field}));`),
    `printf("\\n");`,
  ]);
  const source = join(scratch, "layout.c");
  writeFileSync(
    source,
    `#include <stddef.h>\n#include <stdio.h>\n#include "llama.h"\nint main(void) { ${lines.join("\n")} return 0; }\n`,
  );
  const program = join(scratch, "layout");
  run("cc", [...include.map((folder) => `-I${folder}`), source, "-o", program]);
  const out = run(program, []).trim().split("\n");
  return Object.entries(FIELDS).map(([name, { known }], i) => {
    const [size, ...places] = out[i].split(" ");
    const fields = known.split(" ").map((field, j) => [field, ...places[j].split(":").map(Number)]);
    return [name, Number(size), fields];
  });
}

async function release(folder) {
  const scratch = mkdtempSync(join(tmpdir(), "brownian-releases-"));
  try {
    const source = join(scratch, "llama.cpp");
    run("git", ["clone", "-q", join(folder, "node_modules/node-llama-cpp/llama/gitRelease.bundle"), source]);
    const header = readFileSync(join(source, "include/llama.h"), "utf8");
    const include = [join(source, "include"), join(source, "ggml/include")];
    const platform = `${process.platform}-${process.arch}`;
    const bins = join(folder, "node_modules/@node-llama-cpp", platform, "bins", platform);
    const file = readdirSync(bins).find((name) => /^libllama\.v[\d.]+\.so$/.test(name));
    const name = /v[\d.]+\d/.exec(file)[0];
    const addon = createRequire(import.meta.url)(join(ROOT, "build/Release/brownian.node"));
    const ggml = join(bins, `libggml.${name}.so`);
    const known = addon.engine.describe({ base: join(bins, "libggml-base.so"), ggml, llama: join(bins, file), backends: bins });
    const structs = layouts(include, scratch).map(([struct, size, fields]) => {
      const bytes = known[struct];
      const lines = fields.map(
        ([field, at, width]) =>
          `      ${field}: [${at}, ${width}, "${Buffer.from(bytes.subarray(at, at + width)).toString("hex")}"],`,
      );
      return `    ${struct}: {\n      size: ${size},\n      fields: {\n${lines.map((line) => `  ${line}`).join("\n")}\n      },\n    },`;
    });
    return [
      name,
      `  "${name}": {\n    version: "${known.version}",\n    declarations: "${declarations(header)}",\n${structs.join("\n")}\n  },`,
    ];
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const folders = process.argv.slice(2);
if (folders.length === 1 && folders[0].startsWith("--one=")) {
  // One a process: two releases of one library in one process get in each other's way.
  console.log(JSON.stringify(await release(folders[0].slice(6))));
} else {
  const all = folders.map((folder) => JSON.parse(run(process.execPath, [fileURLToPath(import.meta.url), `--one=${folder}`])));
  writeFileSync(
    join(ROOT, "src/engine/llama-c/releases.ts"),
    `// Made by scripts/build/engine-releases.mjs from the headers and libraries of these releases of llama.cpp: where the fields of its structures of
// parameters lie (offset, bytes, and the default that the library returns, in hexadecimal), and a hash of what is declared of the functions
// that native/engine/library.h takes. A release that is not here is not called.

/** Offset, bytes, default as hexadecimal bytes. */
export type Field = readonly [offset: number, bytes: number, value: string];

export interface Layout {
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

export interface Release {
  /** What the library says of itself. */
  readonly version: string;
  /** Of the functions' declarations. */
  readonly declarations: string;
  readonly model: Layout;
  readonly context: Layout;
}

export const RELEASES: Readonly<Record<string, Release>> = {
${all.map(([, text]) => text).join("\n")}
};
`,
  );
}
