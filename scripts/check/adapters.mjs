// Python's own readers on what `brownian adapter` writes: gguf and safetensors, in a virtual environment of their own (build/adapters-python), which
// is made the first time. Whether both formats are the same noise is computed by numpy. peft itself needs torch, and is not installed: its keys and
// config are compared with what it documents. Run by hand: npm run trial:adapters. Says so, and is no failure, where there is no Python or registry.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const venv = join(root, "build", "adapters-python");
const python = join(venv, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
const MODEL = process.argv[2] ?? join(root, "models", "fairytales-3M-Q8_0.gguf");

const CHECK = `
import json, re, sys
import numpy as np
from gguf import GGUFReader
from safetensors.numpy import load_file

folder, model = sys.argv[1:3]
manifest = json.load(open(f"{folder}/manifest.json"))
base = GGUFReader(model)
field = lambda reader, key: reader.fields[key].contents()
arch = field(base, "general.architecture")
heads = {"q": field(base, f"{arch}.attention.head_count"), "k": field(base, f"{arch}.attention.head_count_kv")}
shapes = {t.name: tuple(int(n) for n in t.shape) for t in base.tensors}
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
members = manifest["members"]
for ggml in [m for m in members if m["format"] == "gguf"]:
    reader = GGUFReader(f"{folder}/{ggml['path']}")
    assert field(reader, "general.type") == "adapter" and field(reader, "adapter.type") == "lora"
    assert field(reader, "general.architecture") == arch and field(reader, "adapter.lora.alpha") == manifest["rank"]
    tensors = {t.name: t.data for t in reader.tensors}
    [peft] = [m for m in members if m["format"] == "peft" and m["member"] == ggml["member"] and m["sigma"] == ggml["sigma"]]
    config = json.load(open(f"{folder}/{peft['path']}/adapter_config.json"))
    assert config["peft_type"] == "LORA" and config["r"] == config["lora_alpha"] == manifest["rank"]
    weights = load_file(f"{folder}/{peft['path']}/adapter_model.safetensors")
    assert len(weights) == len(tensors)
    for name in [n[:-7] for n in tensors if n.endswith(".lora_a")]:
        a, b = tensors[name + ".lora_a"], tensors[name + ".lora_b"]
        assert (a.shape[1], b.shape[0]) == shapes[name], name
        _, block, part, _ = name.split(".")
        layer = f"base_model.model.model.layers.{block}.{NAMES[part]}"
        assert NAMES[part].split(".")[1] in config["target_modules"]
        theirs = weights[layer + ".lora_B.weight"] @ weights[layer + ".lora_A.weight"]
        if arch == "llama" and part in ("attn_q", "attn_k"):
            n = heads[part[-1]]
            theirs = theirs.reshape(n, 2, theirs.shape[0] // n // 2, theirs.shape[1]).swapaxes(1, 2).reshape(theirs.shape)
        # Rows of a product may be summed in another order.
        assert np.allclose(b @ a, theirs, rtol=1e-5, atol=1e-9), name
    print(ggml["path"], "=", peft["path"], len(tensors), "tensors")
`;

function skip(why) {
  console.warn(`SKIPPED Python's readers of adapters: ${why}`);
  process.exit(0);
}

if (!existsSync(python)) {
  const made = spawnSync("python3", ["-m", "venv", venv], { stdio: "inherit" });
  if (made.status !== 0) skip("there is no python3 with venv");
}
const packages = ["gguf", "safetensors", "numpy"];
const there = spawnSync(python, ["-c", "import gguf, safetensors, numpy"], { stdio: "ignore" }).status === 0;
if (!there && spawnSync(python, ["-m", "pip", "install", "-q", ...packages], { stdio: "inherit" }).status !== 0)
  skip(`pip does not install ${packages.join(", ")}`);
const folder = mkdtempSync(join(tmpdir(), "brownian-adapters-"));
try {
  const members = join(folder, "members");
  const asked = ["adapter", MODEL, "-o", members, "--members", "2", "--rank", "3", "--format", "both"];
  execFileSync(process.execPath, [join(root, "dist/cli/main.js"), ...asked], { stdio: "ignore" });
  execFileSync(python, ["-c", CHECK, members, MODEL], { stdio: "inherit" });
  console.log("gguf and safetensors read what was written, and both formats are the same noise");
} finally {
  rmSync(folder, { recursive: true, force: true });
}
