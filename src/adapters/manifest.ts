// The manifest of a folder of members: what they are, and how to serve them. Read with suspicion.

import { join } from "node:path";
import { BrownianError, checkText, shown } from "../errors.js";
import { readTextFile } from "../files/text.js";
import { ADAPTER_FORMATS, type AdapterFormatName } from "./formats/index.js";

/** A file (or folder) of a member, as the manifest has it. */
export interface ManifestMember {
  /** Below the manifest's folder. */
  readonly path: string;
  /** What it is written in. */
  readonly format: AdapterFormatName;
  /** Its number. */
  readonly member: number;
  /** What scale 1 gives; below 0: the mirror image. */
  readonly sigma: number;
}

/** What a folder of members is. */
export interface AdapterManifest {
  /** What the file is, for whoever finds it. */
  readonly format: "brownian-adapters";
  /** Of the file's layout. */
  readonly version: 1;
  /** The model that they are of. */
  readonly model: {
    /** Name of its file. */
    readonly file: string;
    /** Size of its file. */
    readonly bytes: number;
    /** Hexadecimal. */
    readonly sha256: string;
    /** Such as "llama". */
    readonly architecture: string;
  };
  /** What is added, as a formula. */
  readonly law: string;
  /** Decimal. */
  readonly seed: string;
  /** Of the noise on each matrix. */
  readonly rank: number;
  /** What sigma is relative to. */
  readonly scale: string;
  /** The levels that were asked for, rising. */
  readonly sigma: readonly number[];
  /** Whether mirror images belong to it. */
  readonly antithetic: boolean;
  /** Files and folders, format by format. */
  readonly members: readonly ManifestMember[];
  /** Of each matrix: the standard deviation that sigma 1 is, in weight units. */
  readonly tensors: readonly {
    /** As GGUF calls it. */
    readonly name: string;
    /** Length of a row, rows. */
    readonly shape: readonly number[];
    /** In weight units. */
    readonly unit: number;
  }[];
  /** How engines load them. */
  readonly serve: Readonly<Record<string, string>>;
}

/** The manifest's name in its folder. */
export const MANIFEST = "manifest.json";
/** What a calibration of the members is called beside it. */
export const MEMBERS_CALIBRATION = "calibration.json";

/** The manifest of a folder. @throws BrownianError usage where it is none of this version; file-not-found */
export async function readManifest(folder: string): Promise<AdapterManifest> {
  const path = join(checkText("folder", folder), MANIFEST);
  const text = await readTextFile(path).catch((error) => {
    if (!(error instanceof BrownianError && error.code === "file-not-found")) throw error;
    throw new BrownianError(
      "file-not-found",
      `${folder} has no members in it (${MANIFEST}): write some with brownian adapter MODEL -o ${folder}.`,
    );
  });
  const manifest = parsed(text);
  if (manifest !== undefined) return manifest;
  throw new BrownianError(
    "usage",
    `${path} is no manifest that this version reads (${shown(text.slice(0, 40))}): write the members anew.`,
  );
}

function parsed(text: string): AdapterManifest | undefined {
  try {
    const manifest = JSON.parse(text) as AdapterManifest;
    const { format, version, members, sigma, seed, model } = manifest;
    const whole = members.every(
      (one) =>
        Object.hasOwn(ADAPTER_FORMATS, one.format) &&
        Number.isInteger(one.member) &&
        Number.isFinite(one.sigma) &&
        /^[\w.-]+$/.test(one.path),
    );
    const numbers = sigma.every(Number.isFinite) && /^\d+$/.test(seed) && typeof model.sha256 === "string";
    return format === "brownian-adapters" && version === 1 && whole && numbers ? manifest : undefined;
  } catch {
    return undefined; // no JSON, or of another shape
  }
}
