// What the room gives to others: searches on the codes of a model by reward alone, and their logs.

export type { FileIdentity } from "../files/identity.js";
export { type AdapterGeneration, type AdapterLog, type AdapterLogHead, type Directions, readAdapterLog } from "./adapter-log.js";
export type { EvolveAdapterOptions } from "./adapter-options.js";
export type { Ascent, Member } from "./codes.js";
export type { WorkerNews } from "./crew/crew.js";
export { type EvolveWorkerOptions, evolveWorker } from "./crew/redis-worker.js";
export { type EndpointJudgeOptions, endpointJudge } from "./endpoint-judge.js";
export { type EvolvedAdapter, evolveAdapter, type ReplayAdapterOptions, replayAdapter } from "./evolve-adapter.js";
export { type EvolutionLog, type LogGeneration, type LogHead, type Moves, readLog } from "./log.js";
export { cutLog, toldApart } from "./log-file.js";
export { type AnyLog, readAnyLog } from "./logs.js";
export type { Measured } from "./measure.js";
export { type EvolveOptions, SEARCHES, type SearchName } from "./options.js";
export { CommandJudge, moduleJudge } from "./outside.js";
export { evolutionPage } from "./page.js";
export { type Answered, type Judge, REWARDS, type RewardName } from "./rewards.js";
export { type Evolved, evolve, type ReplayOptions, replay } from "./run.js";
export { SHAPINGS, type Shaping } from "./shaping.js";
export type { Split } from "./task.js";
