// Model files: where tensors lie, which of them move, the live copy, and moving bytes in it.

export { chooseTensors, type Skipped } from "./choose.js";
export { copyModel } from "./copy.js";
export { LiveCopy } from "./live-copy.js";
export { type ModelFile, readModel, type Tensor } from "./model-file.js";
export { type Mover, openMover, openReader, type Reader, tensorRms } from "./mover.js";
export { writeWhole } from "./output.js";
