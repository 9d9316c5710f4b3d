// What the room gives to others: language models that write with moving weights. The subpath brownian/llama is src/index.llama.ts.

export {
  describeEngine,
  type EngineDescription,
  type EngineInUse,
  type EngineName,
  type Probe,
  type Seen,
  type TensorClass,
} from "../engine/index.js";
export { type CalibrateOptions, calibrate } from "./calibrate.js";
export { type CalibrateEndpointOptions, calibrateEndpoint } from "./calibrate-endpoint.js";
export { defaultModel } from "./default-model.js";
export { jsonGrammar } from "./json-grammar.js";
export { REPACK, type Repack } from "./load-options.js";
export {
  type ChatOptions,
  type Continuation,
  type Embedding,
  type EmbedOptions,
  type Expected,
  type GenerateOptions,
  type Generation,
  type LoadOptions,
  type LogitBias,
  loadModel,
  type Message,
  Model,
  type Prompt,
  type SamplingOptions,
  type ScoreOptions,
  type TextAsked,
  type TextWritten,
  type TogetherOptions,
  type TokenLogProbability,
  type ToolCall,
  type UncertainToken,
  type Uncertainty,
  type UncertaintyOptions,
  type WindowOptions,
} from "./model.js";
