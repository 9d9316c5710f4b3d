// Python's own readers on what `brownian adapter` writes: gguf and safetensors, in a virtual environment of their own (build/adapters-python), which
// is made the first time. Whether both formats are the same noise is computed by numpy. peft itself needs torch, and is not installed: its keys and
// config are compared with what it documents. Run by hand: npm run trial:adapters. Says so, and is no failure, where there is no Python or registry.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
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

/** The moved copy of a folder of Hugging Face, by safetensors and ml_dtypes: headers as they were, and sigma as it was asked for. */
const MOVED = `
import json, sys
import ml_dtypes, numpy as np
from safetensors import safe_open

step, folder = sys.argv[1:3]
rng = np.random.default_rng(1)
TYPES = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}
path = f"{folder}/model.safetensors"
if step == "make":
    header, parts, end = {}, [], 0
    for name, kind in TYPES.items():
        data = rng.standard_normal((512, 512)).astype(np.float32).astype(kind).tobytes()
        header[f"{name}.weight"] = {"dtype": name, "shape": [512, 512], "data_offsets": [end, end + len(data)]}
        parts.append(data)
        end += len(data)
    text = json.dumps(header).encode()
    open(path, "wb").write(len(text).to_bytes(8, "little") + text + b"".join(parts))
    json.dump({"model_type": "llama"}, open(f"{folder}/config.json", "w"))
else:
    def read(path):
        data = open(path, "rb").read()
        n = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:n])
        return {k: np.frombuffer(data[n + t["data_offsets"][0]:n + t["data_offsets"][1]], dtype=TYPES[t["dtype"]]).astype(np.float64) for k, t in header.items() if k != "__metadata__"}
    before, after = read(path), read(f"{sys.argv[3]}/model.safetensors")
    with safe_open(f"{sys.argv[3]}/model.safetensors", "np") as file:
        assert sorted(file.keys()) == sorted(before)
    for name, w in before.items():
        d, rms = after[name] - w, np.sqrt(np.mean(w ** 2))
        # 262,144 weights: five standard errors of a mean and of a variance; rounding adds 1.5 % to the variance of 8 bits at most.
        assert abs(d.mean()) < 5 * 0.1 * rms / 512, name
        assert abs(np.mean(d ** 2) / (0.1 * rms) ** 2 - 1) < 5 * np.sqrt(2.5) / 512 + 0.015, name
        print(name, "moved by", np.sqrt(np.mean(d ** 2)) / rms, "RMS")
`;

function skip(why) {
  console.warn(`SKIPPED Python's readers of adapters: ${why}`);
  process.exit(0);
}

if (!existsSync(python)) {
  const made = spawnSync("python3", ["-m", "venv", venv], { stdio: "inherit" });
  if (made.status !== 0) skip("there is no python3 with venv");
}
const packages = ["gguf", "safetensors", "numpy", "ml_dtypes"];
const there = spawnSync(python, ["-c", "import gguf, safetensors, numpy, ml_dtypes"], { stdio: "ignore" }).status === 0;
if (!there && spawnSync(python, ["-m", "pip", "install", "-q", ...packages], { stdio: "inherit" }).status !== 0)
  skip(`pip does not install ${packages.join(", ")}`);
const folder = mkdtempSync(join(tmpdir(), "brownian-adapters-"));
try {
  const members = join(folder, "members");
  const asked = ["adapter", MODEL, "-o", members, "--members", "2", "--rank", "3", "--format", "both"];
  execFileSync(process.execPath, [join(root, "dist/cli/main.js"), ...asked], { stdio: "ignore" });
  execFileSync(python, ["-c", CHECK, members, MODEL], { stdio: "inherit" });
  console.log("gguf and safetensors read what was written, and both formats are the same noise");
  const [model, moved] = [join(folder, "model"), join(folder, "moved")];
  mkdirSync(model);
  execFileSync(python, ["-c", MOVED, "make", model], { stdio: "inherit" });
  const perturb = ["perturb", model, "-o", moved, "--sigma", "0.1", "--seed", "7"];
  execFileSync(process.execPath, [join(root, "dist/cli/main.js"), ...perturb], { stdio: "ignore" });
  execFileSync(python, ["-c", MOVED, "check", model, moved], { stdio: "inherit" });
  console.log("safetensors reads a moved folder, and its weights moved by what was asked for");
} finally {
  rmSync(folder, { recursive: true, force: true });
}
