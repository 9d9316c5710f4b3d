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

/** The line that installs the engine on this platform, without what is for GPUs. */
export function installLine(platform: string = process.platform, arch: string = process.arch): string {
  const package_ = PACKAGES[`${platform}-${arch}`];
  if (package_ === undefined) return `npm install node-llama-cpp@${ENGINE_VERSION}`;
  return `npm install --omit=optional node-llama-cpp@${ENGINE_VERSION} @node-llama-cpp/${package_}@${ENGINE_VERSION}`;
}
