// What the room gives to others: draws of the weights as low-rank adapters, in files and on servers.

export {
  type AgreedToken,
  type AnsweredToken,
  askEnsemble,
  type EnsembleAnswers,
  type EnsembleOptions,
  type MemberAnswer,
  type Vote,
} from "./ensemble.js";
export { ADAPTER_FORMATS, type AdapterFormatName } from "./formats/index.js";
export { type AdapterManifest, MANIFEST, type ManifestMember, MEMBERS_CALIBRATION, readManifest } from "./manifest.js";
export { type Merged, type MergeOptions, mergeMember } from "./merge.js";
export { type MemberReader, type ReadMembersOptions, readMembers } from "./read.js";
export {
  type Answered,
  type Asked,
  PROTOCOLS,
  type ProtocolName,
  type ServedCall,
  type ServedMessage,
  type ServedToken,
  ServerError,
  type Shape,
} from "./servers/index.js";
export { type AskAllOptions, type MemberAsked, Upstream, type UpstreamOptions } from "./upstream.js";
export { type AdapterPlan, servingLines, type WriteAdaptersOptions, writeAdapters } from "./write.js";
