// Model files: where tensors lie, which of them move, the live copy, and moving bytes in it.

export type { FileWatch, LiveMemory, Prepared, TensorMove } from "../kernels/files.js";
export { type ChooseOptions, chooseTensors, namesOf, notWeights, type Skipped } from "./choose.js";
export { readModel } from "./containers/index.js";
export { copyModel } from "./copy.js";
export { AUDIT_FORMAT, AUDIT_VERSION, type Fragilities, readFragilities } from "./fragility.js";
export { type Importance, readImatrix } from "./imatrix.js";
export { otherThanModel } from "./kind.js";
export { LiveCopy, type LiveCopyOptions } from "./live/live-copy.js";
export { type LiveTensors, type Reader, type TensorToMove, tensorRms } from "./live/live-tensors.js";
export { openLiveModel, openLiveTensors, openModel, openReader } from "./live/open.js";
export { type ModelWritten, writeModel } from "./model-folder.js";
export { checkOutput, checkOutputFolder, writeFolderWhole, writeTogether, writeWhole } from "./output.js";
export { outputParts } from "./part-names.js";
export { withScratchFile } from "./scratch.js";
export type { ModelFile, ModelPart, Tensor } from "./tensor.js";
export { WATCH, type Watch, watchOver } from "./watch.js";
export { openWriter, type Writer } from "./writer.js";
