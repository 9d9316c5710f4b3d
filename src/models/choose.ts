// Which file of a repository a quantization means.

import { dirname } from "node:path/posix";
import { BrownianError } from "../errors.js";

const SPLIT = /-(\d{5})-of-(\d{5})(?=\.gguf$)/i;
/** What people take where they name none. */
const USUAL = "Q4_K_M";

/** Files that are models: no projectors, no matrices of importance. */
export const isModel = (file: string): boolean => /\.gguf$/i.test(file) && !/(^|[-/.])(mmproj|imatrix)/i.test(file);

/** Whether the name of the file, or of its folder, ends in the quantization. */
function fits(file: string, quantization: string): boolean {
  const end = new RegExp(`(^|[-._/])${quantization.replace(/[^\w]/g, "\\$&")}$`, "i");
  return end.test(file.replace(SPLIT, "").replace(/\.gguf$/i, "")) || end.test(dirname(file));
}

/**
 * The file that is meant, of a split model its first part; undefined where none fits. Where no quantization is named, the only model there is, else
 * Q4_K_M. @throws BrownianError usage where several fit
 */
export function chosen(files: readonly string[], quantization: string | undefined, where: string): string | undefined {
  const models = files.filter((file) => isModel(file) && (SPLIT.exec(file)?.[1] ?? "00001") === "00001").sort();
  if (quantization === undefined && models.length === 1) return models[0];
  const wanted = quantization ?? USUAL;
  const fitting = models.filter((file) => fits(file, wanted));
  if (fitting.length > 1)
    throw new BrownianError("usage", `${where} has several files for ${wanted}: name one, of ${fitting.join(", ")}.`);
  return fitting[0];
}

/** The names of all parts of the model whose first part this is: itself, unless it is split. */
export function partsOf(file: string): string[] {
  const count = Number(SPLIT.exec(file)?.[2] ?? 0);
  if (count === 0) return [file];
  const numbered = (i: number) => file.replace(SPLIT, (_, __, of: string) => `-${String(i + 1).padStart(5, "0")}-of-${of}`);
  return Array.from({ length: count }, (_, i) => numbered(i));
}
