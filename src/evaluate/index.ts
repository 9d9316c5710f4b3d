// Evaluation: ways of getting several answers, side by side on a task with right answers; and how a model answers to noise, tensor by tensor.
//
//   methods.ts plan.ts dials.ts     what is put side by side, how much of it, and at which dials
//   run.ts steps.ts                 the work in its order, kept in files/unfinished.ts
//   respondent.ts                   who answers: own-engine.ts with reading.ts, or served.ts
//   records.ts outcomes.ts doubt.ts what was measured, and what follows from it
//   audit/                          how a model answers to noise
//   page/                           the reports

export {
  type Audit,
  type AuditOptions,
  type AuditPoint,
  type AuditSettings,
  audit,
  type Fragility,
  type Group as TensorGroup,
  type Hidden,
  type Reading as AuditReading,
} from "./audit/index.js";
export type { Doubt } from "./doubt.js";
export { type Dial, METHODS, type Method, type MethodName as EvaluationMethod, methodNames } from "./methods.js";
export type {
  Difference as EvaluationDifference,
  Evaluation,
  Example as EvaluationExample,
  Figure as EvaluationFigure,
  Point as EvaluationPoint,
} from "./outcomes.js";
export { type EvaluateOptions, evaluationNumbers, evaluationSettings, type Power, powerOf, QUICK } from "./plan.js";
export type { Answer, EvaluationSettings, Served } from "./records.js";
export { evaluate, respondent } from "./run.js";
export { type ServedMembers, type ServedMembersOptions, servedMembers } from "./served.js";
