// Audits as scales read them: of each tensor that `brownian audit` moved, how much the model's predictions change for it. Reads only.

import { BrownianError } from "../errors.js";
import type { ModelFile } from "./tensor.js";
import { readTextFile } from "./text.js";

/** What `brownian audit` writes into its file, as far as others read it. */
export const AUDIT_FORMAT = "brownian-audit";
export const AUDIT_VERSION = 1;

/** KL(clean || moved) by sigma squared (in units of each tensor's RMS) and weight, by tensor name; tensors of a group share theirs by their weights. */
export type Fragilities = ReadonlyMap<string, number>;

/** Of a model's weights, the share that must be in the audit: less is another model's. */
const LEAST_COVERED = 1 / 2;

/**
 * Reads the audit at `path`, checked against the model that it is to be used with: by tensor name.
 * @throws BrownianError file-not-found, file-access; usage for what is no audit, or another model's
 *
 * @example
 * const fragilities = await readFragilities("audit/results.json", await readModel("model.gguf"));
 */
export async function readFragilities(path: string, model: ModelFile): Promise<Fragilities> {
  const groups = parsed(await readTextFile(path));
  if (groups === undefined)
    throw new BrownianError(
      "usage",
      `${path} is no audit that this version reads: make one with brownian audit (its results.json).`,
    );
  const known = new Map(model.tensors.map((tensor) => [tensor.name, tensor]));
  const fragilities = new Map<string, number>();
  let covered = 0;
  for (const { tensors, fragility, weights } of groups)
    for (const name of tensors) {
      const tensor = known.get(name);
      if (tensor === undefined)
        throw new BrownianError(
          "usage",
          `${path} is the audit of another model than ${model.path}: it has ${name}, which the model has not.`,
        );
      fragilities.set(name, fragility / weights);
      covered += tensor.weights;
    }
  const all = model.tensors.reduce((sum, { weights }) => sum + weights, 0);
  if (covered < LEAST_COVERED * all)
    throw new BrownianError(
      "usage",
      `${path} has ${covered} of the ${all} weights of ${model.path}: make it anew, of this model and without --only.`,
    );
  return fragilities;
}

interface Group {
  readonly tensors: readonly string[];
  readonly fragility: number;
  readonly weights: number;
}

function parsed(text: string): readonly Group[] | undefined {
  try {
    const { format, version, groups } = JSON.parse(text) as { format?: unknown; version?: unknown; groups: readonly Group[] };
    const good = ({ tensors, fragility, weights }: Group) =>
      tensors.every((name) => typeof name === "string") && fragility >= 0 && Number.isFinite(fragility) && weights > 0;
    const known = format === AUDIT_FORMAT && version === AUDIT_VERSION;
    return known && groups.length > 0 && groups.every(good) && groups.some(({ fragility }) => fragility > 0) ? groups : undefined;
  } catch {
    return undefined; // no JSON, or of another shape
  }
}
