// Cart and pole (Barto, Sutton & Anderson 1983): push a cart left or right so that the pole on it stays up. The equations of motion are the paper's without friction, with
// the constants that the benchmark has had since (Gym's CartPole-v1):
//   temp = (F + m l w^2 sin a) / (M + m),   a'' = (g sin a - cos a temp) / (l (4/3 - m cos^2 a / (M + m))),   x'' = temp - m l a'' cos a / (M + m)
// with m the pole's mass, M the cart's, l half the pole's length, a the angle from upright, w = a'. Euler steps of 0.02 s; reward 1 a step.

import { Noise, type Seed, type Stream } from "../../src/noise/index.js";
import { type Environment, type Step, takenAfterEnd } from "./environment.js";

const GRAVITY = 9.8; // m/s^2
const CART = 1; // kg
const POLE = 0.1; // kg
const HALF_LENGTH = 0.5; // m
const FORCE = 10; // N
const SECONDS = 0.02; // a step
const FALLEN = (12 * Math.PI) / 180; // rad
const EDGE = 2.4; // m
const START = 0.05; // every state variable starts uniformly in [-START, START)

/** Cart position (m), its velocity, the pole's angle (rad), its velocity. */
export type CartPoleState = readonly [x: number, v: number, angle: number, w: number];

/** The state one step of 0.02 s later, under a push of `force` newtons. */
export function cartPoleStep([x, v, angle, w]: CartPoleState, force: number): CartPoleState {
  const total = CART + POLE;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const temp = (force + POLE * HALF_LENGTH * w * w * sin) / total;
  const turning = (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4 / 3 - (POLE * cos * cos) / total));
  const acceleration = temp - (POLE * HALF_LENGTH * turning * cos) / total;
  return [x + SECONDS * v, v + SECONDS * acceleration, angle + SECONDS * w, w + SECONDS * turning];
}

/** Cart and pole. Observations: {@link CartPoleState}. Actions: 0 pushes left, 1 right. An episode ends when the pole falls, the cart leaves, or after `limit` steps. */
export class CartPole implements Environment {
  readonly observationSize = 4;
  readonly actions = 2;
  private readonly stream: Stream;
  private episode = -1;
  private steps = 0;
  private over = true;
  private state: CartPoleState = [0, 0, 0, 0];

  /** @param seed of the starts, each episode's from its own tick. @param limit steps an episode at most. */
  constructor(
    seed: Seed = 0,
    private readonly limit = 500,
  ) {
    this.stream = new Noise(seed).stream("cart-pole");
  }

  reset(): Float32Array {
    this.episode++;
    this.steps = 0;
    this.over = false;
    const [x, v, angle, w] = this.stream.uniform(new Float32Array(4), { tick: this.episode });
    const start = (u: number | undefined) => (2 * (u as number) - 1) * START;
    this.state = [start(x), start(v), start(angle), start(w)];
    return Float32Array.from(this.state);
  }

  step(action: number): Step {
    if (this.over) throw takenAfterEnd("The cart");
    this.state = cartPoleStep(this.state, action === 1 ? FORCE : -FORCE);
    this.steps++;
    const [x, , angle] = this.state;
    const fallen = Math.abs(x) > EDGE || Math.abs(angle) > FALLEN;
    this.over = fallen || this.steps >= this.limit;
    return { observation: Float32Array.from(this.state), reward: 1, end: fallen ? "terminal" : this.over ? "time" : undefined };
  }
}
