// Calibration profiles on disk: beside the model, as JSON, whole or not at all; read with suspicion.

import { readFile, stat, writeFile } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import { asFileError } from "../files/file-errors.js";
import { writeWhole } from "../files/index.js";
import { identity } from "../llama/calibrate.js";
import type { Profile } from "../sampling/calibration.js";

/** Where the profile of a model lies unless told otherwise: model.gguf has model.calibration.json. */
export function profilePath(model: string): string {
  return `${model.replace(/\.gguf$/i, "")}.calibration.json`;
}

export async function writeProfile(profile: Profile, path: string, model: string): Promise<void> {
  await writeWhole(path, model, (partial) => writeFile(partial, `${JSON.stringify(profile, null, 2)}\n`));
}

/** The profile at `path`, of this model. @throws BrownianError usage where there is none, it is none, or it is another model's */
export async function readProfile(path: string, model: string): Promise<Profile> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw asFileError(error, path);
    throw new BrownianError(
      "usage",
      `${model} has no calibration yet (${path}), so nobody knows which sigma is as surprising as a temperature: run brownian calibrate ${model} first, or give --sigma.`,
    );
  });
  const profile = parse(text, path);
  const bytes = (await stat(model).catch((error) => Promise.reject(asFileError(error, model)))).size;
  if (bytes !== profile.model.bytes || (await identity(model)).sha256 !== profile.model.sha256) {
    throw new BrownianError(
      "usage",
      `The calibration ${path} is of another model (${profile.model.file}, ${profile.model.bytes} bytes), not of ${model}: calibrate this one.`,
    );
  }
  return profile;
}

function parse(text: string, path: string): Profile {
  try {
    const profile = JSON.parse(text) as Profile;
    const { format, version, model, noise, softmax, breaking } = profile;
    const points = [...noise.flatMap((p) => [p.sigma, p.flipRate, p.smoothed, p.error]), ...softmax.map((p) => p.temperature)];
    const numbers = [...points, ...softmax.map((p) => p.flipRate), breaking.sigma, breaking.temperature, model.bytes];
    if (
      format === "brownian-calibration" &&
      version === 2 &&
      noise.length > 1 &&
      softmax.length > 1 &&
      numbers.every(Number.isFinite)
    )
      return profile;
  } catch {
    // said below
  }
  throw new BrownianError("usage", `${path} is no calibration that this version reads: make it anew with brownian calibrate.`);
}
