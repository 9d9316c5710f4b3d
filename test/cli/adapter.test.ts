// brownian adapter, generate --carrier adapter, and brownian ensemble, as commands.

import { copyFileSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { llamaC } from "../../src/engine/llama-c/index.js";
import { commandLine } from "../support/command-line.js";
import { FakeServer } from "../support/fake-servers.js";
import { scratchFolder } from "../support/synthetic-gguf.js";
import { writeHfFolder } from "../support/synthetic-safetensors.js";

const folder = scratchFolder();
const why = llamaC.whyNot();
if (why !== undefined) console.warn(`SKIPPED generate --carrier adapter: ${why}`);

const { run } = commandLine({ BROWNIAN_SCRATCH: folder });

describe("brownian adapter", () => {
  it("tells sizes, then writes members and how to serve them", async () => {
    const members = join(folder, "members");
    const { code, out, err } = await run("adapter", "-o", members, "--members", "2", "--seed", "7", "--antithetic");
    expect(code, err).toBe(0);
    expect(err).toMatch(/2 members of rank 1: 28 matrices \(2,359,296 weights\) each, .* kB; .* in all/);
    expect(err).toMatch(/left alone: 9 tensors \(a vector, not a matrix/);
    expect(out).toContain(`--lora ${members}/m00.gguf,${members}/m01.gguf`);
    expect(JSON.parse(readFileSync(join(members, "manifest.json"), "utf8"))).toMatchObject({ seed: "7", antithetic: true });
  });

  it("merges a member into the model", async () => {
    const path = join(folder, "merged.gguf");
    const { code, out } = await run("adapter", "-o", path, "--merge", "1", "--sigma", "0.1", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ member: 1, sigma: 0.1, matrices: 28, bytes: statSync(path).size });
  });

  it("is what perturb --carrier adapter adds", async () => {
    const [merged, moved] = [join(folder, "merge.gguf"), join(folder, "moved.gguf")];
    const asked = ["--sigma", "0.1", "--seed", "7", "--rank", "2"];
    expect((await run("adapter", "-o", merged, "--merge", "1", ...asked)).code).toBe(0);
    const model = "models/fairytales-3M-Q8_0.gguf";
    const { code, out, err } = await run(
      "perturb",
      model,
      "-o",
      moved,
      "--carrier",
      "adapter",
      "--member",
      "1",
      "--tick",
      "3",
      ...asked,
    );
    expect(code, err).toBe(0);
    expect(out).toMatch(/member 1 added to 28 matrices/);
    expect(err).toContain("--tick: no effect with --carrier adapter");
    expect(readFileSync(moved).equals(readFileSync(merged))).toBe(true);
    for (const args of [
      ["--rank", "2"],
      ["--carrier", "adapter", "--rounding", "nearest"],
    ])
      expect((await run("perturb", model, "-o", join(folder, "none"), "--sigma", "0.1", ...args)).code).toBe(2);
  });

  it("reads a folder of Hugging Face, as inspect and perturb do", async () => {
    const model = join(folder, "hf");
    const values = new Uint8Array(Uint16Array.from({ length: 1024 }, (_, i) => 0x3f00 + (i % 128)).buffer);
    const tensor = { dtype: "BF16", shape: [32, 32], data: values };
    const config = { model_type: "qwen2", num_hidden_layers: 1 };
    writeHfFolder(model, [{ "model.layers.0.mlp.up_proj.weight": tensor }], config);
    writeFileSync(join(model, "old.bin"), "");
    const moved = join(folder, "hf-moved");
    const { code, err } = await run("perturb", model, "-o", moved, "--sigma", "0.1");
    expect(code, err).toBe(0);
    expect(err).toMatch(/copied: config\.json, tokenizer\.json\n.*left out, being other weights or folders: old\.bin/s);
    expect((await run("inspect", moved)).out).toMatch(/qwen2, 1,024 weights in 1 tensors/);
    const members = await run("adapter", model, "-o", join(folder, "hf-members"), "--members", "1", "--format", "both");
    expect(members.out, members.err).toContain("llama-server -m MODEL.gguf");
  });

  it("exits with 2 where it is misused, and leaves nothing", async () => {
    for (const args of [
      ["--rank", "500"],
      ["--sigma", "0"],
      ["--scale", "step"],
      ["--merge", "0", "--members", "3"],
      ["--merge", "0", "--sigma", "0.1,0.2"],
    ]) {
      const { code, err } = await run("adapter", "-o", join(folder, "none"), ...args);
      expect(code, `${args.join(" ")}: ${err}`).toBe(2);
      expect(existsSync(join(folder, "none"))).toBe(false);
    }
  });

  it.skipIf(why !== undefined)("is what generate --carrier adapter has of the same seed", async () => {
    const asked = ["--sigma", "0.1", "--seed", "7", "--max-tokens", "8"];
    const { code, out, err } = await run("generate", "--carrier", "adapter", "--rank", "2", "--member", "1", "--json", ...asked);
    expect(code, err).toBe(0);
    const [text] = JSON.parse(out).texts;
    expect(text).toMatchObject({ carrier: "adapter", rank: 2, member: 1, weights: 2_359_296 });
    expect(text.memory).toEqual({ file: expect.any(Number), index: 0, journal: 0, ready: 0 });
    const live = await run("generate", "--rank", "2", ...asked);
    expect(live.code).toBe(2);
    expect(live.err).toMatch(/rank is of the carrier adapter/);
  });
});

describe.skipIf(why !== undefined)("a calibration of adapters", () => {
  const model = join(folder, "model.gguf");
  const profile = join(folder, "model.adapter-2.calibration.json");

  it("is of one carrier and rank, and means sigma to generate and ensemble", async () => {
    copyFileSync(fileURLToPath(new URL("../../models/fairytales-3M-Q8_0.gguf", import.meta.url)), model);
    const how = ["--max-tokens", "128", "--draws", "2", "--sigmas", "0.02,0.1,0.4"];
    const { code, out, err } = await run("calibrate", model, "--carrier", "adapter", "--rank", "2", ...how, "--json");
    expect(code, err).toBe(0);
    expect(err).toContain(profile);
    expect(JSON.parse(out).settings).toMatchObject({ carrier: "adapter", rank: 2 });
    const asked = ["generate", "-m", model, "--weight-temperature", "0.3", "--seed", "1", "--max-tokens", "2"];
    const moved = await run(...asked, "--carrier", "adapter", "--rank", "2");
    expect(moved.code, moved.err).toBe(0);
    expect(moved.err).toMatch(/sigma 0\.\d+ is as surprising as softmax at T = 0\.3/);
    const live = await run(...asked);
    expect(live.code).toBe(2); // of another carrier
    expect(live.err).toMatch(/no calibration yet \(.*model\.calibration\.json\)/);
  });

  it("says where ensembles would break the model", async () => {
    const members = join(folder, "calibrated");
    await run("adapter", model, "-o", members, "--members", "1", "--rank", "2", "--sigma", "0.4");
    const server = await FakeServer.start("llama-server", { adapters: [`${members}/m00.gguf`] });
    const asked = ["ensemble", "--endpoint", server.url, "--adapters", members, "--model", model, "x", "--json"];
    const { breaking } = JSON.parse(readFileSync(profile, "utf8"));
    const beyond = await run(...asked, "--sigma", String(breaking.sigma * 1.5));
    expect(beyond.code).toBe(2);
    expect(beyond.err).toMatch(/breaks .*model\.gguf \(from .* on it costs more than 0\.25 nats a token\)/);
    const within = await run(...asked, "--weight-temperature", "0.2");
    expect(within.code, within.err).toBe(0);
    const [{ sigma }] = JSON.parse(within.out).answers;
    expect(sigma).toBeGreaterThan(0);
    expect(sigma).toBeLessThanOrEqual(breaking.sigma);
  });
});

describe("brownian calibrate --endpoint", () => {
  it("keeps what it measures beside the members, for ensemble --weight-temperature", async () => {
    const members = join(folder, "served");
    expect((await run("adapter", "-o", members, "--members", "2", "--sigma", "0.05,0.1", "--format", "peft")).code).toBe(0);
    const server = await FakeServer.start("vllm");
    // Softmax picks "no" in a fifth of all places at T = 1; a member of sigma s wherever 1/s divides the place.
    server.doubt = (called, after) => {
      const sigma = Number(/-s([\d.]+)$/.exec(called)?.[1] ?? 0);
      return sigma > 0 && after % Math.round(1 / sigma) === 0 ? 0.8 : 0.2;
    };
    const text = join(folder, "yes.txt");
    writeFileSync(text, "yes ".repeat(100));
    const asked = ["--endpoint", server.url, "--adapters", members];
    const before = await run("ensemble", ...asked, "--weight-temperature", "0.5", "?");
    expect(before.code).toBe(2);
    expect(before.err).toContain("brownian calibrate --endpoint URL");
    const { code, out, err } = await run("calibrate", ...asked, "--text", text, "--draws", "3");
    expect(code, err).toBe(0);
    expect(out).toMatch(/0\.05\s+4 %/); // 4 of 99;
    expect(err).toContain("--draws: no effect with --endpoint");
    const { answers } = JSON.parse((await run("ensemble", ...asked, "--weight-temperature", "0.5", "--json", "?")).out);
    expect(answers).toMatchObject([{ sigma: 0.05 }, { sigma: 0.05 }]);
  });
});

describe("brownian ensemble", () => {
  it("prints answers with votes, or all of it as JSON", async () => {
    const members = join(folder, "asked");
    await run("adapter", "-o", members, "--members", "3");
    const server = await FakeServer.start("llama-server", { adapters: [0, 1, 2].map((i) => `${members}/m0${i}.gguf`) });
    server.answer = (member) => (member.includes("m02") ? "no" : "yes");
    const asked = ["ensemble", "--endpoint", server.url, "--adapters", members, "Is 91 a prime?"];
    const { code, out, err } = await run(...asked);
    expect(code, err).toBe(0);
    expect(out).toMatch(/^2 of 3 yes\n1 of 3 no\nsigma 0\.07; agreement 66\.7 %; answers by .*\(llama-server\): 3/);
    const json = JSON.parse((await run(...asked, "--json", "--system", "Be brief.")).out);
    expect(json).toMatchObject({ question: "Is 91 a prime?", agreement: 2 / 3 });
    expect(server.written.at(-1)?.body.messages).toEqual([
      { role: "system", content: "Be brief." },
      { role: "user", content: "Is 91 a prime?" },
    ]);
    const stopped = await FakeServer.start("llama-server");
    await stopped.stop();
    const gone = await run("ensemble", "--endpoint", stopped.url, "--adapters", members, "--retries", "0", "x");
    expect(gone.code).toBe(1);
    expect(gone.err).toMatch(/does not answer: ECONNREFUSED/);
    const uncalibrated = await run(...asked, "--weight-temperature", "0.3");
    expect(uncalibrated.code).toBe(2);
  });
});
