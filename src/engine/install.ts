// What to type for an engine. npm installs all of node-llama-cpp's optional packages that fit the platform, also those for GPUs, which are most of
// their size and which weights that move cannot use: so the one that is needed is named, and optional ones are left out.

/** The release of node-llama-cpp whose library is known (llama-c/releases.ts), and that this project is tried with. */
export const ENGINE_VERSION = "3.22.1";

/** The package of node-llama-cpp with the library for a platform, processors alone. */
export const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64",
  "linux-arm64": "linux-arm64",
  "linux-arm": "linux-armv7l",
  "darwin-arm64": "mac-arm64-metal",
  "darwin-x64": "mac-x64",
  "win32-x64": "win-x64",
  "win32-arm64": "win-arm64",
};

/** Those with a backend for GPUs, in order of preference; on Macs it comes with the library. */
export const GPU_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  "linux-x64": ["linux-x64-cuda", "linux-x64-vulkan"],
  "win32-x64": ["win-x64-cuda", "win-x64-vulkan"],
};

/** The line that installs the engine on this platform with a backend for its GPUs; undefined where there is none to install. */
export function gpuInstallLine(platform: string = process.platform, arch: string = process.arch): string | undefined {
  const package_ = GPU_PACKAGES[`${platform}-${arch}`]?.at(-1);
  return package_ === undefined ? undefined : `${installLine(platform, arch)} @node-llama-cpp/${package_}@${ENGINE_VERSION}`;
}

/** The line that installs the engine on this platform, without what is for GPUs. */
export function installLine(platform: string = process.platform, arch: string = process.arch): string {
  const package_ = PACKAGES[`${platform}-${arch}`];
  if (package_ === undefined) return `npm install node-llama-cpp@${ENGINE_VERSION}`;
  return `npm install --omit=optional node-llama-cpp@${ENGINE_VERSION} @node-llama-cpp/${package_}@${ENGINE_VERSION}`;
}
