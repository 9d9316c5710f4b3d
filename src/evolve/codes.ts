// The model that evolves, as codes: a copy that goes on from generation to generation (the centre), and the live file, which is the centre or a member
// around it. Nothing is kept of a member but its tick: its moves are made again from their key, for the next member, for the update, and for a replay.
// The model file is the base: it is read for decay and differences, and never written. Floats, where they are to evolve too, are floats.ts's.

import { chmod, stat } from "node:fs/promises";
import { BrownianError } from "../errors.js";
import {
  copyModel,
  LiveCopy,
  type LiveTensors,
  type ModelFile,
  openLiveTensors,
  readModel,
  type Tensor,
  type TensorToMove,
  writeWhole,
} from "../files/index.js";
import { selection } from "../kernels/select.js";
import type { Step } from "../kernels/step.js";
import { ascent } from "../laws/ascent.js";
import { mirror } from "../laws/mirror.js";
import { Field, Kind, Levels } from "../laws/numbers.js";
import { choose, Measures, planMoves } from "../thermostat/draw.js";
import type { CheckedNoise } from "../thermostat/noise.js";
import { Accumulator } from "./accumulator.js";
import { EvolvingFloats } from "./floats.js";

/** Which member of a generation: the centre itself, or a draw of the noise around it, or that draw's mirror image. */
export interface Member {
  /** Counts the draws of the generation. */
  readonly draw: number;
  /** 0: the centre, whatever the draw. */
  readonly sign: -1 | 0 | 1;
}

/** How the centre goes on at the end of a generation. */
export interface Ascent {
  /** Of the generation's first draw; each has two, of which tables take the second for the mirror image, which their moves have not. */
  readonly tick: number;
  /** How much of the move of each draw is added, and of its mirror image: two numbers a draw. */
  readonly weights: readonly number[];
  /** Share of its distance from the base that each code goes back. */
  readonly decay: number;
}

/** Ticks of a draw: its own, and its mirror image's where that is a draw of its own. */
export const TICKS = 2;

/** Where the files are that move. */
export interface Places {
  readonly livePath?: string | undefined;
  readonly scratch?: string | undefined;
}

/** What a search may choose of how it goes on. */
export interface Keeping {
  /** Whether what rounding leaves of an update is kept, at two bytes a weight, instead of rounding by chance. */
  readonly accumulate?: boolean | undefined;
  /** Whether float tensors evolve too, at four bytes a weight. */
  readonly floats?: boolean | undefined;
}

export class EvolvingCodes {
  /**
   * @param base the model file
   * @param noise which tensors move, from which seed, how far
   * @param places the live file that an engine has mapped, equal to the base (without one there are no members), and a folder for the centre
   * @throws BrownianError usage where no tensor has codes; as Thermostat.open
   */
  static async open(base: ModelFile, noise: CheckedNoise, places: Places, keeping: Keeping = {}): Promise<EvolvingCodes> {
    const { kernels } = selection();
    const { chosen } = choose(base, noise);
    const [part, ...others] = base.parts;
    if (others.length > 0)
      throw new BrownianError(
        "usage",
        `${base.path} is in ${base.parts.length} files, and what evolves is one: put them together first (llama-gguf-split --merge).`,
      );
    const centre = await LiveCopy.create(base, { dir: places.scratch });
    const opened: { close(): Promise<void> }[] = [];
    try {
      const updates = await openLiveTensors(centre.path, base.path, kernels, part);
      opened.push(updates);
      const { livePath } = places;
      const members = livePath === undefined ? undefined : await openLiveTensors(livePath, centre.path, kernels, null);
      if (members !== undefined) opened.push(members);
      const measures = new Measures(updates, base);
      const planned = await planMoves(chosen, noise, noise.at(0), 0, measures);
      const moving = planned.filter(({ move }) => move.sigma > 0);
      const moves = moving.filter(({ move }) => move.format[Field.kind] === Kind.lattice);
      const floating = keeping.floats ? moving.filter((one) => !moves.includes(one)) : [];
      if (moves.length + floating.length === 0) throw nothingMoves(base.path, moving.length > 0);
      const accumulator = keeping.accumulate ? await Accumulator.open(centre.path, base, moves, kernels) : undefined;
      if (accumulator !== undefined) opened.push(accumulator);
      const floats = await EvolvingFloats.open(base, centre.path, livePath, floating, kernels);
      return new EvolvingCodes(base, centre, { updates, members, accumulator, floats }, moves, floating);
    } catch (error) {
      for (const one of opened) await one.close();
      await centre.dispose();
      throw error;
    }
  }

  /** Those whose moves have mirror images, and the others. */
  private readonly even: readonly TensorToMove[];
  private readonly tables: readonly TensorToMove[];
  /** What the live file has; undefined while it is half written. */
  private present: { readonly tick: number; readonly sign: number } | undefined;

  private constructor(
    private readonly base: ModelFile,
    private readonly centre: LiveCopy,
    private readonly open: {
      readonly updates: LiveTensors;
      readonly members: LiveTensors | undefined;
      readonly accumulator: Accumulator | undefined;
      readonly floats: EvolvingFloats;
    },
    private readonly moves: readonly TensorToMove[],
    private readonly floating: readonly TensorToMove[],
  ) {
    const isEven = ({ move }: TensorToMove) => move.format[Field.levels] === Levels.uniform;
    this.even = moves.filter(isEven);
    this.tables = moves.filter((move) => !isEven(move));
  }

  /** Those that move. */
  get tensors(): readonly Tensor[] {
    return [...this.moves, ...this.floating].map(({ tensor }) => tensor);
  }

  /** How many weights they have. */
  get weights(): number {
    return this.tensors.reduce((sum, { weights }) => sum + weights, 0);
  }

  /** The live file becomes a member of the generation whose first draw is at `tick`. */
  async be(tick: number, { draw, sign }: Member): Promise<void> {
    const at = tick + TICKS * draw;
    const before = this.present;
    if (before?.sign === sign && (sign === 0 || before.tick === at)) return;
    this.present = undefined;
    const { members } = this.open;
    if (members === undefined) throw new BrownianError("usage", "There is no live file for members.");
    if (sign === 0) for (const { tensor } of this.moves) await members.restore(tensor);
    else {
      const drawn: Step = { verb: "draw" };
      const mirrored: Step = { verb: "evolve", law: mirror, strength: 0, stride: 1 };
      const isMirror = before?.tick === at && before.sign === -sign;
      if (!isMirror) await members.step(this.even, at, drawn);
      if (isMirror || sign < 0) await members.step(this.even, at, mirrored);
      if (this.tables.length > 0) await members.step(this.tables, sign < 0 ? at + 1 : at, drawn);
    }
    await this.open.floats.be(at, sign);
    this.present = { tick: at, sign };
  }

  /** The centre goes on. Resolves to how many codes (and floats) changed. */
  async ascend({ tick, weights, decay }: Ascent): Promise<number> {
    if (decay === 0 && weights.every((weight) => weight === 0)) return 0;
    this.present = undefined;
    const even = weights.map((weight, i) => (i % TICKS === 0 ? weight - (weights[i + 1] as number) : 0));
    const { accumulator, floats, updates } = this.open;
    const floated = await floats.ascend(tick, { weights: even, decay });
    if (accumulator !== undefined) return floated + (await accumulator.ascend(tick, { even, tables: weights, decay }));
    const law = ascent({ even, tables: weights, decay });
    return floated + (await updates.step(this.moves, tick, { verb: "evolve", law, strength: 0, stride: 1 }));
  }

  /** How many codes (and floats) of the centre differ from the base's. */
  async difference(): Promise<number> {
    let different = await this.open.floats.difference();
    for (const { tensor } of this.moves) different += await this.open.updates.difference(tensor);
    return different;
  }

  /** The centre becomes the base. */
  async restart(): Promise<void> {
    this.present = undefined;
    for (const { tensor } of this.moves) await this.open.updates.restore(tensor);
    this.open.accumulator?.restart();
    await this.open.floats.restart();
  }

  /** Writes the centre as a model file, whole or not at all. @throws BrownianError as writeWhole */
  async save(output: string): Promise<void> {
    const centre = await readModel(this.centre.path);
    await writeWhole(output, this.base.path, async (partial) => {
      await copyModel(centre, partial, "free some, or write elsewhere.");
      await chmod(partial, (await stat(this.base.path)).mode & 0o777);
    });
  }

  async close(): Promise<void> {
    await this.open.members?.close();
    await this.open.accumulator?.close();
    await this.open.floats.close();
    await this.open.updates.close();
    await this.centre.dispose();
  }
}

function nothingMoves(path: string, hasFloats: boolean): BrownianError {
  const how = hasFloats
    ? "floats do not evolve where that is not asked for: add floats (--floats), or take others with --only"
    : "take a quantized model, or other --only";
  return new BrownianError("usage", `No tensor of ${path} that was chosen has codes to move: ${how}.`);
}
