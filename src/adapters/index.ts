// What the room gives to others: draws of the weights as low-rank adapters.

export { ADAPTER_FORMATS, type AdapterFormatName } from "./formats/index.js";
export { type Merged, type MergeOptions, mergeMember } from "./merge.js";
export {
  type AdapterManifest,
  type AdapterPlan,
  formatsOf,
  MANIFEST,
  type ManifestMember,
  type WriteAdaptersOptions,
  writeAdapters,
} from "./write.js";
