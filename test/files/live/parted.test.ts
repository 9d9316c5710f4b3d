// Ticks of a model in several files are made ready in all of them or in none; what is not wanted any more is dropped everywhere.

import { expect, it } from "vitest";
import type { LiveTensors, TensorToMove } from "../../../src/files/live/live-tensors.js";
import { PartedTensors } from "../../../src/files/live/parted.js";
import { MOST_READY } from "../../../src/kernels/files.js";
import type { Step } from "../../../src/kernels/step.js";

const STEP: Step = { verb: "draw" };

/** A part that tells what is done to it, and whose third tick cannot be made ready. */
function part(log: string[], name: string) {
  const prepare: LiveTensors["prepare"] = async (moves, tick) => {
    if (tick === 3 && name === "b") return undefined;
    log.push(`${name} makes ${moves.length}`);
    const write = async () => {
      if (tick === 2 && name === "a") throw new Error("lost");
      log.push(`${name} writes`);
      return moves.length;
    };
    return { write, drop: () => log.push(`${name} drops`) };
  };
  const step: LiveTensors["step"] = async (moves) => moves.length;
  return { prepare, step } as LiveTensors;
}

const moveOf = (of: number, bytes = 100) => ({ tensor: { part: of, bytes }, move: {} }) as unknown as TensorToMove;

it("makes ready what each file has, and writes it in turn", async () => {
  const log: string[] = [];
  const tensors = new PartedTensors([part(log, "a"), part(log, "none"), part(log, "b")]);
  const moves = [moveOf(0), moveOf(2), moveOf(2)];
  const prepared = await tensors.prepare(moves, 1, STEP);
  expect(await prepared?.write()).toBe(await tensors.step(moves, 1, STEP));
  expect(log).toEqual(["a makes 1", "b makes 2", "a writes", "b writes"]);
  (await tensors.prepare(moves, 1, STEP))?.drop();
  expect(log.slice(4)).toEqual(["a makes 1", "b makes 2", "a drops", "b drops"]);
});

it("drops the others where one fails, or cannot", async () => {
  const log: string[] = [];
  const tensors = new PartedTensors([part(log, "a"), part(log, "b")]);
  const moves = [moveOf(0), moveOf(1)];
  await expect((await tensors.prepare(moves, 2, STEP))?.write()).rejects.toThrow("lost");
  expect(log).toEqual(["a makes 1", "b makes 1", "a drops", "b drops"]);
  expect(await tensors.prepare(moves, 3, STEP)).toBeUndefined();
  expect(log.slice(4)).toEqual(["a makes 1", "a drops"]);
});

it("holds no more ready for a model in many files than for one", async () => {
  const log: string[] = [];
  const tensors = new PartedTensors([part(log, "a"), part(log, "b")]);
  const large = [moveOf(0, MOST_READY), moveOf(1, MOST_READY)];
  expect(await tensors.prepare(large, 1, STEP)).toBeUndefined();
  expect(await tensors.prepare(large, 1, { verb: "diffuse", factor: 1, stride: 2 })).toBeDefined();
});
