// Layers on a GPU: which file is a library, and what is said where there is no backend. That adapters move what lies there is a trial
// (npm run trial:gpu).
import { describe, expect, it } from "vitest";
import { engineNamed } from "../../src/engine/index.js";
import { GPU_PACKAGES, gpuInstallLine } from "../../src/engine/install.js";
import { packagesForGpus, releaseOf } from "../../src/engine/llama-c/library.js";
import { loadModel } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const MODEL = "models/fairytales-3M-Q8_0.gguf";
const scratch = scratchFolder();

describe("libraries of node-llama-cpp's packages", () => {
  // As they are called in the packages linux-x64, linux-x64-vulkan and mac-arm64-metal.
  it.each([
    ["linux", "libllama.v0.5.0.so", "v0.5.0"],
    ["linux", "libllama.vulkan.v0.5.0.so", "v0.5.0"],
    ["darwin", "libllama.metal.v0.4.0.dylib", "v0.4.0"],
    ["win32", "llama.cuda.v0.5.0.dll", "v0.5.0"],
    ["linux", "libllama-common.so", undefined],
    ["linux", "libggml.v0.5.0.so", undefined],
  ])("on %s: %s is of release %s", (platform, file, release) => {
    expect(releaseOf(file, platform)).toBe(release);
  });

  it("are named with their line where they are missing", () => {
    expect(gpuInstallLine("linux", "x64")).toMatch(/@node-llama-cpp\/linux-x64@\S+ @node-llama-cpp\/linux-x64-vulkan@/);
    expect(gpuInstallLine("darwin", "arm64")).toBeUndefined();
    for (const platform of Object.keys(GPU_PACKAGES)) expect(platform).toMatch(/^(linux|win32)-x64$/);
  });
});

describe.skipIf(!engineNamed().offloads)("gpuLayers", () => {
  const load = (gpuLayers: number) => loadModel(MODEL, { threads: 1, scratch, gpuLayers });

  it.skipIf(packagesForGpus().length > 0 || process.platform === "darwin")(
    "says what to type where there is no backend",
    async () => {
      await expect(load(1)).rejects.toMatchObject({
        code: "engine-missing",
        message: expect.stringMatching(/^gpuLayers needs a backend for GPUs: (npm install|there is none)/),
      });
    },
  );
});
