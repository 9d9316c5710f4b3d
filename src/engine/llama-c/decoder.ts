// The one place where texts are computed: what several of them wait for becomes one batch, so that all are served by one pass over the weights.

import { setImmediate } from "node:timers/promises";
import { BrownianError } from "../../errors.js";
import { NoNumbers } from "../expectation.js";
import type { AddonContext, AddonSampler, Batch, Flag, Status } from "./addon.js";

/** How decoding ended. */
export const DONE: Status = 0;
const FULL: Status = 1;
const ABORTED: Status = 2;
const NO_NUMBERS: Status = 3;

/** Tokens of one text to be computed after those that it has. */
export interface Order {
  readonly sequence: number;
  readonly tokens: readonly number[];
  /** Chooses the next one. */
  readonly sampler?: AddonSampler | undefined;
  /** Takes the logits after the last. */
  readonly logits?: Float32Array | undefined;
  /** Whether logits may be no numbers. */
  readonly unchecked?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An order on its way. */
interface Pending extends Order {
  /** Tokens that are computed. */
  done: number;
  resolve(token: number): void;
  reject(error: unknown): void;
}

/** A part of an order in a batch. */
interface Part {
  readonly order: Pending;
  readonly count: number;
}

export class Decoder {
  /** The tokens that each text has. */
  readonly texts: number[][];
  /** Tokens that are computed at once at most. */
  readonly most: number;
  private readonly waiting: Pending[] = [];
  private running = false;
  /** Whether anything may have been written to the context's memory since it was cleared. */
  private written = true;
  /** What is done with the context now; it never rejects. */
  private busy: Promise<unknown> | undefined;

  constructor(
    private readonly name: string,
    private readonly memory: AddonContext,
    private readonly flag: Flag,
    readonly vocabulary: number,
  ) {
    this.texts = Array.from({ length: memory.facts().sequences }, () => []);
    this.most = memory.facts().batch;
  }

  /** For whoever computes with it. */
  get context(): AddonContext {
    this.written = true;
    return this.memory;
  }

  /** Computes what is ordered; resolves to what the sampler chose, or -1. @throws the signal's reason; then the text is as it was before */
  submit(order: Order): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      order.signal?.throwIfAborted();
      const raise = () => this.flag.raise();
      order.signal?.addEventListener("abort", raise, { once: true });
      const settle =
        <T>(end: (value: T) => void) =>
        (value: T) => {
          order.signal?.removeEventListener("abort", raise);
          end(value);
        };
      this.waiting.push({ ...order, done: 0, resolve: settle(resolve), reject: settle(reject) });
      if (!this.running) void this.run();
    });
  }

  /** Does something with the context when nothing else does: a batch is computed on another thread, and what it computes with must stay. */
  async exclusive<T>(work: () => T | Promise<T>): Promise<T> {
    while (this.busy !== undefined) await this.busy;
    const working = (async () => work())();
    const ended = working.then(
      () => undefined,
      () => undefined,
    );
    this.busy = ended;
    try {
      return await working;
    } finally {
      if (this.busy === ended) this.busy = undefined;
    }
  }

  private async run(): Promise<void> {
    this.running = true;
    if (this.texts.length > 1) await null; // what is asked for in the same breath is one batch
    while (this.waiting.length > 0) {
      await this.exclusive(async () => {
        const parts = this.nextParts();
        try {
          await this.decode(parts);
        } catch (error) {
          for (const { order } of parts) this.drop(order, error);
        }
      });
      // Those that were served have their next token to ask for: they are to be in the next batch, not in the one after it.
      if (this.texts.length > 1) await setImmediate();
    }
    this.running = false;
  }

  /** Those with the least left first, so that one who reads a long prompt does not hold up those who write. */
  private nextParts(): Part[] {
    const parts: Part[] = [];
    let room = this.most;
    for (const order of [...this.waiting].sort((a, b) => left(a) - left(b))) {
      if (room === 0) break;
      const count = Math.min(room, left(order));
      parts.push({ order, count });
      room -= count;
    }
    return parts;
  }

  private async decode(parts: readonly Part[]): Promise<void> {
    this.flag.lower(); // it may have been raised for one who waited
    for (const { order } of parts) if (order.signal?.aborted) return this.drop(order, order.signal.reason);
    const wanted = ({ order, count }: Part) =>
      count === left(order) && (order.sampler !== undefined || order.logits !== undefined);
    const batch = this.batchOf(parts, wanted);
    const outputs = parts.filter(wanted);
    const { status, tokens } = await this.context.decode({
      ...batch,
      samplers: outputs.map(({ order }) => order.sampler ?? null),
      unchecked: outputs.every(({ order }) => order.unchecked),
    });
    if (status !== DONE) return this.failed(parts, status);
    let at = 0;
    for (const part of parts) {
      const { order, count } = part;
      at += count;
      if (wanted(part) && order.logits !== undefined) this.context.logits(at - 1, order.logits);
      this.texts[order.sequence]?.push(...order.tokens.slice(order.done, order.done + count));
      const output = outputs.indexOf(part);
      order.done += count;
      if (left(order) > 0) continue;
      this.waiting.splice(this.waiting.indexOf(order), 1);
      order.resolve(output < 0 ? -1 : (tokens[output] as number));
    }
  }

  private batchOf(parts: readonly Part[], wanted: (part: Part) => boolean): Batch {
    const tokens: number[] = [];
    const positions: number[] = [];
    const sequences: number[] = [];
    const outputs: number[] = [];
    for (const part of parts) {
      const { order, count } = part;
      const past = this.texts[order.sequence]?.length ?? 0;
      for (let i = 0; i < count; i++) {
        tokens.push(order.tokens[order.done + i] as number);
        positions.push(past + i);
        sequences.push(order.sequence);
        outputs.push(wanted(part) && i === count - 1 ? 1 : 0);
      }
    }
    return {
      tokens: Int32Array.from(tokens),
      positions: Int32Array.from(positions),
      sequences: Int32Array.from(sequences),
      outputs: Uint8Array.from(outputs),
    };
  }

  /** Some of it may have been computed: texts go back to what they were. Those that nobody ended are computed again. */
  private failed(parts: readonly Part[], status: Status): void {
    for (const { order } of parts) this.cut(order.sequence, this.texts[order.sequence]?.length ?? 0);
    for (const { order } of parts) {
      if (status !== ABORTED) this.drop(order, this.failure(status));
      else if (order.signal?.aborted) this.drop(order, order.signal.reason);
    }
  }

  /** Refuses an order. What it had computed in earlier batches is forgotten. */
  private drop(order: Pending, error: unknown): void {
    const place = this.waiting.indexOf(order);
    if (place < 0) return; // it was served
    this.waiting.splice(place, 1);
    if (order.done > 0) this.cut(order.sequence, (this.texts[order.sequence]?.length ?? 0) - order.done);
    order.reject(error);
  }

  /** Within `exclusive`: forgets what a text has from token `length` on; all of it where the model cannot forget a part. Returns how many are left. */
  cut(sequence: number, length: number): number {
    const text = this.texts[sequence] as number[];
    const kept = length > 0 && this.memory.remove(sequence, length, -1) ? Math.min(length, text.length) : 0;
    text.length = kept;
    if (kept === 0) {
      // Removed states of recurrent models are multiplied by zero, which leaves what is no number as it is.
      if (this.texts.some(({ length: left }) => left > 0)) this.memory.remove(sequence, -1, -1);
      else if (this.written) {
        // All of the memory is written over, which may be gigabytes: not once for each of many texts that are empty.
        this.memory.clear();
        this.written = false;
      }
    }
    return kept;
  }

  /** Within `exclusive`: a text has what another has. */
  copy(from: number, to: number): void {
    if (from === to) return;
    this.cut(to, 0);
    this.context.copy(from, to, 0, -1);
    this.texts[to]?.push(...(this.texts[from] as number[]));
  }

  /** What a status other than DONE means. */
  failure(status: Status): BrownianError {
    if (status === NO_NUMBERS) return new NoNumbers(this.name);
    const why = status === FULL ? "the context is full" : status === ABORTED ? "it was aborted" : `its code is ${status}`;
    return new BrownianError("engine-failed", `The engine failed while it computed with ${this.name}: ${why}`);
  }

  /** Within `exclusive`: runs `work` with a flag that the signal raises. */
  async interruptible<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    const raise = () => this.flag.raise();
    signal?.addEventListener("abort", raise, { once: true });
    try {
      return await work();
    } finally {
      signal?.removeEventListener("abort", raise);
      this.flag.lower();
    }
  }
}

const left = ({ tokens, done }: Pending): number => tokens.length - done;
