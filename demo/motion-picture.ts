// Weights of the file jiggling on their lattice, after Jean Perrin's drawings of grains in water (1908). Two weights make a dot: how many steps of
// their grid they are, across and up, from where the file has them. The motion is the library's Langevin dynamics: pull and kick, one call a tick.

import { selection } from "../src/kernels/select.js";
import { encodedFormat, type Format } from "../src/lattice/formats.js";
import { makeMove, perturb, supportedFormat } from "../src/lattice/perturb.js";
import { unpack } from "../src/laws/codes.js";
import { relaxation } from "../src/laws/relaxation.js";
import { streamKey } from "../src/noise/index.js";
import type { Sample } from "./protocol.js";

/** Correlation time of the motion in ticks. */
const TAU = 8;
const TICKS_A_SECOND = 12;
/** Positions that a dot's path remembers. */
const PATH = 14;
/** Pixels a step, and steps between two dots at rest. */
const STEP = 2;
const PITCH = 12;
const DOT = 1.9;

export class MotionPicture {
  private readonly context: CanvasRenderingContext2D;
  private weights: Weights | undefined;
  private sigma = 0;
  private moving = false;
  private visible = true;
  private last = 0;
  private asked: number | undefined;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.context = canvas.getContext("2d") as CanvasRenderingContext2D;
    new ResizeObserver(() => this.fit()).observe(canvas);
    new IntersectionObserver((entries) => {
      this.visible = entries.at(-1)?.isIntersecting ?? true;
      this.wake();
    }).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(sample: Sample, seed: number): void {
    this.weights = new Weights(sample, this.sigma, seed);
    this.fit();
    this.wake();
  }

  /** In units of the tensor's RMS. The dots get there as they move; while they rest, at once. */
  setSigma(sigma: number): void {
    this.sigma = sigma;
    if (this.moving || this.weights === undefined) return;
    this.weights = new Weights(this.weights.sample, sigma, this.weights.seed);
    this.draw();
  }

  move(moving: boolean): void {
    this.moving = moving;
    this.wake();
  }

  /** Weights in the picture. */
  get count(): number {
    const { columns, rows } = this.grid();
    return 2 * columns * rows;
  }

  /** Asks for the next frame, unless one is asked for or nobody looks. */
  private wake(): void {
    if (!this.moving || !this.visible || this.asked !== undefined) return;
    this.asked = requestAnimationFrame((now) => {
      this.asked = undefined;
      if (now - this.last >= 1000 / TICKS_A_SECOND - 4) {
        this.last = now;
        this.weights?.tick(this.sigma);
        this.draw();
      }
      this.wake();
    });
  }

  private fit(): void {
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = clientWidth * devicePixelRatio;
    this.canvas.height = clientHeight * devicePixelRatio;
    this.draw();
  }

  private grid(): { columns: number; rows: number; left: number; top: number } {
    const { clientWidth, clientHeight } = this.canvas;
    const pitch = PITCH * STEP;
    const pairs = (this.weights?.count ?? 0) / 2;
    const columns = Math.max(1, Math.floor((clientWidth - pitch / 2) / pitch));
    const rows = Math.max(0, Math.min(Math.floor((clientHeight - pitch / 2) / pitch), Math.floor(pairs / columns)));
    const centre = (length: number, n: number) => Math.round((length - (n - 1) * pitch) / 2 / STEP) * STEP;
    return { columns, rows, left: centre(clientWidth, columns), top: centre(clientHeight, rows) };
  }

  private draw(): void {
    const { context, canvas, weights } = this;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    if (weights === undefined) return;
    const style = getComputedStyle(canvas);
    const { columns, rows, left, top } = this.grid();
    this.paper(style.getPropertyValue("--paper-line"));
    const place = (pair: number, age: number): [number, number] => {
      const [across, up] = weights.displacement(pair, age);
      const x = left + 0.5 + ((pair % columns) * PITCH + across) * STEP;
      const y = top + 0.5 + (Math.floor(pair / columns) * PITCH - up) * STEP;
      return [x, y];
    };
    context.strokeStyle = style.color;
    context.fillStyle = style.color;
    context.lineWidth = 1;
    context.lineJoin = "round";
    for (let age = PATH - 1; age > 0; age--) {
      context.globalAlpha = 0.7 * (1 - age / PATH) ** 1.5;
      context.beginPath();
      for (let pair = 0; pair < columns * rows; pair++) {
        context.moveTo(...place(pair, age));
        context.lineTo(...place(pair, age - 1));
      }
      context.stroke();
    }
    context.globalAlpha = 1;
    context.beginPath();
    for (let pair = 0; pair < columns * rows; pair++) {
      const [x, y] = place(pair, 0);
      context.moveTo(x + DOT, y);
      context.arc(x, y, DOT, 0, 2 * Math.PI);
    }
    context.fill();
  }

  /** Lines that cross where dots are at rest. */
  private paper(colour: string): void {
    const { context, canvas } = this;
    const { left, top } = this.grid();
    const every = PITCH * STEP;
    context.strokeStyle = colour;
    context.globalAlpha = 1;
    context.lineWidth = 1;
    context.beginPath();
    for (let x = (left % every) + 0.5; x <= canvas.clientWidth; x += every) {
      context.moveTo(x, 0);
      context.lineTo(x, canvas.clientHeight);
    }
    for (let y = (top % every) + 0.5; y <= canvas.clientHeight; y += every) {
      context.moveTo(0, y);
      context.lineTo(canvas.clientWidth, y);
    }
    context.stroke();
  }
}

/** The sample's weights in motion, with the positions that their paths remember. */
class Weights {
  private readonly format: Format;
  private readonly live: Uint8Array<ArrayBuffer>;
  private readonly rest: Int8Array;
  /** Codes, newest first. */
  private readonly past: Int8Array[];
  private now = 0;

  constructor(
    readonly sample: Sample,
    sigma: number,
    readonly seed: number,
  ) {
    this.format = supportedFormat(sample.type);
    this.live = sample.bytes.slice();
    this.rest = this.codes(sample.bytes);
    const { tensor: name, type, rms } = sample;
    perturb(this.live, { type, name, seed, sigma: sigma * rms });
    const codes = this.codes(this.live);
    this.past = Array.from({ length: PATH }, () => codes.slice());
    for (let i = 0; i < PATH; i++) this.tick(sigma);
  }

  get count(): number {
    return this.rest.length;
  }

  tick(sigma: number): void {
    const { sample, live } = this;
    this.now++;
    const move = makeMove(this.format, {
      sigma: Math.fround(sigma * sample.rms),
      inSteps: false,
      key: streamKey(this.seed, sample.tensor),
      tick: this.now,
      rounding: "matched",
      index: 0,
      steps: null,
      rowLength: 1,
    });
    selection().kernels.evolve(live, sample.bytes, move, relaxation, Math.exp(-1 / TAU));
    const oldest = this.past.pop() as Int8Array;
    oldest.set(this.codes(live));
    this.past.unshift(oldest);
  }

  /** How many steps two neighbouring weights are from where the file has them, `age` ticks ago. */
  displacement(pair: number, age: number): [number, number] {
    const codes = this.past[age] as Int8Array;
    const of = (i: number) => (codes[i] as number) - (this.rest[i] as number);
    return [of(2 * pair), of(2 * pair + 1)];
  }

  private codes(bytes: Uint8Array): Int8Array {
    const blocks = bytes.length / this.format.bytes;
    const codes = new Int8Array(blocks * this.format.weights);
    unpack(codes, bytes, 0, blocks, encodedFormat(this.format));
    return codes;
  }
}
