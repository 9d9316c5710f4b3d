// Moves of bytes in memory on the addon's threads, piece by piece. Shared memory they work on where it lies: it cannot go away. Other memory
// JavaScript may take away at any time, so they have copies, which the calling thread makes of one piece and writes back of another while they work.

import type { Move } from "../laws/move.js";
import { Field, SUM_LEAF } from "../laws/numbers.js";
import { type Addon, moveRecord, withLaw } from "./addon.js";
import type { Workers } from "./native-file.js";
import { Spare } from "./spare.js";
import { Gate, underWay } from "./under-way.js";

/** Leaves that a thread gets at a time: a copy of them stays in the caches and takes a tenth of a millisecond, and messages cost little beside them. */
const LEAVES = 16;
/** Pieces at a time, a thread each: Node's own pool has four threads, of which one is left for files. */
const MOST_AT_A_TIME = 3;
/** Pieces at a time where there are more threads, half of which work on each. */
const OF_MANY = 2;
/** Steps of rows, or factors of columns, that go with every piece: to copy more of them would take as long as the piece does. */
const MOST_FACTORS = 2 ** 16;

/** Bytes of a weight, at most. */
const MOST_BYTES = 4;

/** Takes a host that has SharedArrayBuffer. */
export class Pieces {
  /** For copies, used again: fresh memory takes longer to come by than what is put there. */
  private readonly rooms = new Spare((bytes) => new Uint8Array(new SharedArrayBuffer(bytes)));
  /** Pieces at a time, and threads on each. */
  private readonly most: number;
  private readonly each: number;
  /** For all calls: several at a time have no more threads than one (but where all of the data is one piece), and no more copies. */
  private readonly gate: Gate;
  private readonly copies: Gate;

  constructor(
    private readonly addon: Addon,
    private readonly workers: Workers,
  ) {
    this.most = workers.threads > MOST_AT_A_TIME ? OF_MANY : workers.threads;
    this.each = Math.floor(workers.threads / this.most);
    this.gate = new Gate(this.most);
    this.copies = new Gate(this.most + 1);
  }

  /**
   * How many codes of `data` changed. Aborted, it ends between two pieces.
   * @throws Error where the memory of the data is not there any more; the signal's reason
   */
  async perturb(data: Uint8Array, move: Move, signal?: AbortSignal): Promise<number> {
    const { most, workers } = this;
    const { length } = data;
    const leaf = (SUM_LEAF / (move.format[Field.weights] as number)) * (move.format[Field.bytes] as number);
    const whole = ((move.columns?.factors ?? move.steps)?.length ?? 0) > MOST_FACTORS;
    const each = whole ? workers.threads : this.each;
    const bytes = whole ? length : leaf * Math.min(LEAVES * each, Math.ceil(length / leaf / most));
    const moved = (part: Uint8Array, from: number) =>
      this.gate.through(() => {
        const index = move.index + (from / leaf) * SUM_LEAF;
        return withLaw(this.addon).perturbAsync(workers.target, each, part, moveRecord({ ...move, index }));
      });
    const shared = data.buffer instanceof SharedArrayBuffer;
    let changed = 0;
    const piece = async (from: number) => {
      const part = data.subarray(from, from + bytes);
      const here = await (shared ? moved(part, from) : this.copies.through(() => this.onCopy(part, (copy) => moved(copy, from))));
      if (data.length !== length) throw new Error("the memory of data went away while its weights were moved");
      changed += here; // not before: pieces that are under way at a time would take each other's counts back
    };
    await underWay(starts(length, bytes), shared ? most : most + 1, piece, signal);
    return changed;
  }

  private async onCopy(part: Uint8Array, work: (copy: Uint8Array) => Promise<number>): Promise<number> {
    const { length } = part;
    if (length === 0) return 0; // it is gone
    const room = this.rooms.take(length);
    const copy = room.subarray(0, length);
    copy.set(part);
    const changed = await work(copy);
    if (part.length === length) part.set(copy);
    if (length <= LEAVES * this.each * SUM_LEAF * MOST_BYTES) this.rooms.give(room); // what is larger was all of the data
    return changed;
  }
}

function* starts(length: number, by: number): Generator<number> {
  for (let from = 0; from < length; from += by) yield from;
}
