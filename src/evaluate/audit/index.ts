// How a model answers to noise, as a whole and tensor by tensor.

export type { Group } from "./groups.js";
export type { Audit, AuditPoint, AuditSettings, Fragility, Hidden, Reading } from "./records.js";
export { type AuditOptions, audit, auditNumbers, auditSettings } from "./run.js";
