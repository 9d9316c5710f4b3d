// GPUs: the backends of node-llama-cpp's packages for them, which the library takes in when layers are to go there.

import { basename, join } from "node:path";
import { BrownianError } from "../../errors.js";
import { GPU_PACKAGES, gpuInstallLine } from "../install.js";
import { engineAddon } from "./addon.js";
import { filesOf, type Library, packageFolders, releaseOf } from "./library.js";

/** A backend for GPUs as these packages have it, beside a library of its release. */
const BACKEND = /^(?:lib)?ggml-(?:cuda|vulkan)\.(?:so|dll)$/;

/**
 * Files of backends for GPUs that are installed here, of this release, in order of preference.
 * @throws BrownianError engine-missing where there are some of other releases alone
 */
function gpuBackends(release: string): readonly string[] {
  const others = new Set<string>();
  const found: string[] = [];
  for (const name of GPU_PACKAGES[`${process.platform}-${process.arch}`] ?? [])
    for (const nodeModules of packageFolders()) {
      const bins = join(nodeModules, "@node-llama-cpp", name, "bins", name);
      const files = filesOf(bins);
      const backend = files.find((file) => BACKEND.test(file));
      if (backend === undefined) continue;
      const library = files.map((file) => releaseOf(file)).find((one) => one !== undefined);
      if (library === release) found.push(join(bins, backend));
      else others.add(`@node-llama-cpp/${name} has release ${library}`);
      break;
    }
  if (found.length === 0 && others.size > 0)
    throw new BrownianError(
      "engine-missing",
      `The backends for GPUs are not of the engine's release ${release} of llama.cpp (${[...others].join(", ")}): ${gpuInstallLine()}`,
    );
  return found;
}

/** A GPU that layers can go to, with the backend of a package where the library has none. @throws BrownianError engine-missing */
export async function findGpu(paths: Library["paths"], release: string): Promise<void> {
  const addon = engineAddon();
  if (await addon.offloadsWith(paths, "")) return;
  const backends = gpuBackends(release);
  const why: string[] = [];
  for (const backend of backends) {
    try {
      if (await addon.offloadsWith(paths, backend)) return;
    } catch (error) {
      why.push((error as Error).message.trim());
    }
  }
  const line = gpuInstallLine();
  const missing = line === undefined ? "there is none for this platform" : line;
  throw new BrownianError(
    "engine-missing",
    backends.length === 0
      ? `gpuLayers needs a backend for GPUs: ${missing}`
      : `gpuLayers needs a GPU, and llama.cpp finds none by ${backends.map((file) => basename(file)).join(", ")}${why.length > 0 ? ` (${why.join("; ")})` : ""}: leave gpuLayers at 0.`,
  );
}
