// Float tensors that evolve beside the codes, or alone (norms, biases): their centre is float32 in memory, whatever their type is, so that no update is
// lost to rounding; files have its nearest values. With c the centre, k_i the move of this key at tick t + i (Gaussian, as all noise on F32), d the decay
// and p the base's weights:
//
//   member: c + k or c - k,   update: c' = c + sum_i f_i k_i - d (c - p)
//
// Sums are float32, in the order of i, in this one file for all backends; the moves are theirs, and equal.

import { type FileHandle, open } from "node:fs/promises";
import type { ModelFile, Tensor, TensorToMove } from "../files/index.js";
import { readFully, writeFully } from "../files/transfer.js";
import type { Kernels } from "../kernels/contract.js";
import { decode } from "../lattice/decode.js";
import { encodedFormat, type Format } from "../lattice/formats.js";
import { supportedFormat } from "../lattice/perturb.js";
import { halfOf, isByteFloat } from "../laws/halves.js";
import type { Move } from "../laws/move.js";
import { Kind, Rounding } from "../laws/numbers.js";

const f = Math.fround;
/** Weights that are worked on at a time: whole blocks of draws. */
const CHUNK = 1 << 16;

/** What an update adds. */
interface Update {
  /** Of the moves at ticks t, t + 1, ...: how much of each. */
  readonly weights: readonly number[];
  readonly decay: number;
}

/** One tensor of floats. */
interface Moving {
  readonly tensor: Tensor;
  readonly format: Format;
  readonly move: Move;
  readonly centre: Float32Array<ArrayBuffer>;
}

/** The files that it lies in. */
interface Files {
  readonly base: FileHandle;
  /** What goes on. */
  readonly centre: FileHandle;
  /** What the engine has; undefined where there are no members. */
  readonly live: FileHandle | undefined;
}

export class EvolvingFloats {
  /**
   * @param centre the copy that goes on, equal to the base
   * @param live the file that an engine has mapped, equal to the base
   * @param moves of float tensors
   */
  static async open(
    base: ModelFile,
    centre: string,
    live: string | undefined,
    moves: readonly TensorToMove[],
    kernels: Kernels,
  ): Promise<EvolvingFloats> {
    const opened: FileHandle[] = [];
    const opens = async (path: string, flags: string) => {
      const file = await open(path, flags);
      opened.push(file);
      return file;
    };
    try {
      const files: Files = {
        base: await opens(base.path, "r"),
        centre: await opens(centre, "r+"),
        live: live === undefined ? undefined : await opens(live, "r+"),
      };
      const moving: Moving[] = [];
      for (const { tensor, move } of moves) {
        const format = supportedFormat(tensor.type, `tensor ${tensor.name}: `);
        const drawn: Move = {
          ...move,
          format: encodedFormat(supportedFormat("F32", "")),
          rounding: Rounding.nearest,
          steps: null,
          rowLength: 1,
          index: 0,
        };
        moving.push({ tensor, format, move: drawn, centre: await pristine(files.base, tensor, format) });
      }
      return new EvolvingFloats(files, moving, kernels);
    } catch (error) {
      for (const file of opened) await file.close();
      throw error;
    }
  }

  private constructor(
    private readonly files: Files,
    private readonly moving: readonly Moving[],
    private readonly kernels: Kernels,
  ) {}

  /** The live file has the centre, or the member whose moves are at this tick, or its mirror image. */
  async be(tick: number, sign: -1 | 0 | 1): Promise<void> {
    const { live } = this.files;
    if (live === undefined) return;
    for (const one of this.moving) {
      const member = new Float32Array(one.centre);
      if (sign !== 0)
        this.eachMove(one, tick, (at, moved) => {
          for (let i = 0; i < moved.length; i++) {
            const [w, c] = [moved[i] as number, one.centre[at + i] as number];
            member[at + i] = sign > 0 ? w : f(c - f(w - c));
          }
        });
      await writeFully(live, encode(member, one.format), one.tensor.offset);
    }
  }

  /** The centre goes on; resolves to how many weights changed. */
  async ascend(tick: number, { weights, decay }: Update): Promise<number> {
    let changed = 0;
    for (const one of this.moving) {
      const { centre, tensor, format } = one;
      const sums = new Float32Array(centre.length);
      for (const [draw, weight] of weights.entries())
        if (weight !== 0)
          this.eachMove(one, (tick + draw) >>> 0, (at, moved) => {
            for (let i = 0; i < moved.length; i++) {
              const k = f((moved[i] as number) - (centre[at + i] as number));
              sums[at + i] = (sums[at + i] as number) + f(f(weight) * k);
            }
          });
      const base = decay === 0 ? undefined : await pristine(this.files.base, tensor, format);
      for (let i = 0; i < centre.length; i++) {
        const c = centre[i] as number;
        const back = base === undefined ? 0 : f(decay * f(c - (base[i] as number)));
        const next = f(c + f((sums[i] as number) - back));
        if (next === c || !Number.isFinite(next)) continue;
        centre[i] = next;
        changed++;
      }
      await writeFully(this.files.centre, encode(centre, format), tensor.offset);
    }
    return changed;
  }

  /** How many weights of the centre differ from the base's, as files have them. */
  async difference(): Promise<number> {
    let different = 0;
    for (const { tensor, format, centre } of this.moving) {
      const base = await pristine(this.files.base, tensor, format);
      const now = decode(format, encode(centre, format));
      for (let i = 0; i < base.length; i++) if (!Object.is(base[i], now[i])) different++;
    }
    return different;
  }

  /** The centre becomes the base. */
  async restart(): Promise<void> {
    for (const { tensor, format, centre } of this.moving) {
      centre.set(await pristine(this.files.base, tensor, format));
      await writeFully(this.files.centre, encode(centre, format), tensor.offset);
    }
  }

  async close(): Promise<void> {
    await this.files.live?.close();
    await this.files.centre.close();
    await this.files.base.close();
  }

  /** Shows the centre moved at a tick, in parts from weight `at` on. */
  private eachMove({ centre, move }: Moving, tick: number, visit: (at: number, moved: Float32Array) => void): void {
    for (let at = 0; at < centre.length; at += CHUNK) {
      const moved = centre.slice(at, at + CHUNK);
      this.kernels.perturb(new Uint8Array(moved.buffer), { ...move, tick, index: at });
      visit(at, moved);
    }
  }
}

/** The base's weights. */
async function pristine(file: FileHandle, { offset, bytes }: Tensor, format: Format): Promise<Float32Array<ArrayBuffer>> {
  const stored = new Uint8Array(bytes);
  await readFully(file, stored, offset);
  return new Float32Array(decode(format, stored));
}

/** Weights as the format has them, each the nearest that it has. */
function encode(weights: Float32Array<ArrayBuffer>, format: Format): Uint8Array {
  const kind = Kind[format.kind];
  if (kind === Kind.f32) return new Uint8Array(weights.buffer);
  const halves = new Uint16Array(weights.length);
  for (let i = 0; i < halves.length; i++) halves[i] = halfOf(weights[i] as number, kind, null);
  if (!isByteFloat(kind)) return new Uint8Array(halves.buffer);
  return Uint8Array.from(halves, (h) => (h & 0x7f) | ((h & 0x8000) >> 8));
}
