// Calibration profiles on disk: beside the model, as JSON, whole or not at all; read with suspicion.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MEMBERS_CALIBRATION, readManifest } from "../adapters/index.js";
import { BrownianError } from "../errors.js";
import { identity } from "../files/identity.js";
import { readModel, writeTogether } from "../files/index.js";
import { readTextFile } from "../files/text.js";
import type { Profile } from "../statistics/calibration.js";
import type { CarrierFlags } from "./options.js";

/**
 * Where the profile of a model lies unless told otherwise: model.gguf has model.calibration.json, and for adapters of rank 1
 * model.adapter-1.calibration.json.
 */
export function profilePath(model: string, { carrier, rank = 1 }: CarrierFlags = {}): string {
  const by = carrier === "adapter" ? `.adapter-${rank}` : "";
  return `${model.replace(/\.gguf$/i, "")}${by}.calibration.json`;
}

/** Writes the profile of the model file `model`, whole or not at all. */
export async function writeProfile(profile: Profile, path: string, model: string): Promise<void> {
  const files = (await readModel(model)).parts.map((part) => part.path); // none of which it may be written over
  await writeTogether([path], files, ([partial]) => writeFile(partial as string, `${JSON.stringify(profile, null, 2)}\n`));
}

/** The profile at `path`, of this model. @throws BrownianError usage where there is none, it is none, or it is another model's */
export async function readProfile(path: string, model: string): Promise<Profile> {
  const text = await readTextFile(path).catch((error) => {
    if (!(error instanceof BrownianError && error.code === "file-not-found")) throw error;
    throw new BrownianError(
      "usage",
      `${model} has no calibration yet (${path}), so nobody knows which sigma is as surprising as a temperature: run brownian calibrate ${model} first, or give --sigma.`,
    );
  });
  const profile = parsed(text);
  if (profile === "older")
    throw new BrownianError(
      "usage",
      `${path} is of an earlier version, whose sigma was another dose: make it anew with brownian calibrate ${model}.`,
    );
  if (profile === undefined)
    throw new BrownianError("usage", `${path} is no calibration that this version reads: make it anew with brownian calibrate.`);
  const { file, bytes, sha256 } = profile.model;
  // The size first: to hash a model takes a while.
  const { size } = await readModel(model);
  if (bytes !== size || sha256 !== (await identity(model)).sha256) {
    throw new BrownianError(
      "usage",
      `The calibration ${path} is of another model (${file}, ${bytes} bytes), not of ${model}: calibrate this one.`,
    );
  }
  return profile;
}

/** The profile of the members in a folder, measured where they are served. @throws BrownianError usage where there is none, or another's */
export async function readMembersProfile(folder: string): Promise<Profile> {
  const path = join(folder, MEMBERS_CALIBRATION);
  const text = await readTextFile(path).catch((error) => {
    if (!(error instanceof BrownianError && error.code === "file-not-found")) throw error;
    throw new BrownianError(
      "usage",
      `The members of ${folder} have no calibration yet (${path}): run brownian calibrate --endpoint URL --adapters ${folder} first, give that of the model (--model), or --sigma.`,
    );
  });
  const profile = parsed(text);
  const { model, rank } = await readManifest(folder);
  if (profile === undefined || profile === "older" || profile.model.sha256 !== model.sha256 || profile.settings.rank !== rank)
    throw new BrownianError(
      "usage",
      `${path} is no calibration of these members: make it anew with brownian calibrate --endpoint.`,
    );
  return profile;
}

/** Of the calibrations that are read, and what their sigma is. */
const VERSION = 3;
const DOSE = "tensor";

/** The profile, if the text is one of this version, with numbers where it needs them. */
function parsed(text: string): Profile | "older" | undefined {
  try {
    const profile = JSON.parse(text) as Profile;
    const { format, version, settings, model, noise, softmax, breaking } = profile;
    const numbers = [
      ...noise.flatMap((point) => [point.sigma, point.flipRate, point.smoothed, point.error]),
      ...softmax.flatMap((point) => [point.temperature, point.flipRate]),
      ...[breaking.sigma, breaking.temperature, model.bytes],
    ];
    if (format !== "brownian-calibration") return undefined;
    if ([1, 2].includes(version)) return "older";
    const known = version === VERSION && settings.dose === DOSE;
    return known && noise.length > 1 && softmax.length > 1 && numbers.every(Number.isFinite) ? profile : undefined;
  } catch {
    return undefined; // no JSON, or of another shape
  }
}
