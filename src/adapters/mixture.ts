// A weighted sum of members, which is an adapter of a larger rank: sum_k c_k E_k = B A, with the columns of all B side by side, each times its c, and
// the rows of all A below each other.

import { writeFolderWhole, writeWhole } from "../files/index.js";
import { ADAPTER_FORMATS, type AdapterFile, type AdapterFormat, type AdapterFormatName } from "./formats/index.js";
import type { Drawing, Matrix, Members, Pair } from "./members.js";
import { writeAdapterFile } from "./write.js";

export class Mixture implements Drawing {
  readonly rank: number;
  readonly mixed: string;

  /** @param scales of members 0, 1, ...: sigma of each */
  constructor(
    private readonly members: Members,
    private readonly scales: readonly number[],
  ) {
    this.rank = members.rank * scales.length;
    this.mixed = `brownian mixture of ${scales.length} members of seed ${members.seed}`;
  }

  get model() {
    return this.members.model;
  }

  get seed(): bigint {
    return this.members.seed;
  }

  get matrices(): readonly Matrix[] {
    return this.members.matrices;
  }

  /** There is one, at a scale of 1. */
  *draw(): Generator<Pair> {
    const draws = this.scales.map((scale, k) => this.members.draw(k, scale));
    for (const matrix of this.matrices) {
      const pairs = draws.map((draw) => draw.next().value as Pair);
      yield { matrix, a: joined(pairs.map(({ a }) => a)), b: joined(pairs.map(({ b }) => b)) };
    }
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Writes a mixture, whole or not at all: a GGUF file, or a folder of PEFT.
 * @throws BrownianError unsupported-type where the format has no names for its matrices; as writeWhole, writeFolderWhole
 */
export async function writeMixture(output: string, name: AdapterFormatName, mixture: Mixture): Promise<void> {
  const format: AdapterFormat = ADAPTER_FORMATS[name];
  format.check(mixture);
  const files = format.files(mixture, { member: 0, sigma: 1, name: "mixture" });
  const [first] = files as [AdapterFile];
  if (format.scaled) return writeWhole(output, mixture.model.path, (partial) => writeAdapterFile(partial, first));
  const nameOf = ({ path }: AdapterFile) => path.split("/").at(-1) as string;
  await writeFolderWhole(output, files.map(nameOf), async (folder) => {
    for (const file of files) await writeAdapterFile(`${folder}/${nameOf(file)}`, file);
  });
}
