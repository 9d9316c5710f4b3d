// Cart and pole (Barto, Sutton & Anderson 1983): push a cart left or right so that the pole on it stays up. The equations of motion are the
// paper's without friction, with the constants that the benchmark has had since (Gym's CartPole-v1):
//   temp = (F + m l w^2 sin a) / (M + m),  a'' = (g sin a - cos a temp) / (l (4/3 - m cos^2 a / (M + m))),  x'' = temp - m l a'' cos a / (M + m)
// m the pole's mass, M the cart's, l half the pole's length, a the angle from upright, w = a'. Euler steps of 0.02 s; reward 1 a step.
import { Noise } from "brownian";

const GRAVITY = 9.8; // m/s^2
const CART = 1; // kg
const POLE = 0.1; // kg
const HALF_LENGTH = 0.5; // m
const FORCE = 10; // N
const SECONDS = 0.02; // a step
const FALLEN = (12 * Math.PI) / 180; // rad
const EDGE = 2.4; // m
const START = 0.05; // every state variable starts uniformly in [-START, START)

/**
 * The state one step of 0.02 s later, under a push of `force` newtons.
 * @typedef {readonly [number, number, number, number]} State the cart's position (m) and velocity, the pole's angle (rad) and velocity
 * @param {State} state @param {number} force @returns {State}
 */
export function cartPoleStep([x, v, angle, w], force) {
  const total = CART + POLE;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  const temp = (force + POLE * HALF_LENGTH * w * w * sin) / total;
  const turning = (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4 / 3 - (POLE * cos * cos) / total));
  const acceleration = temp - (POLE * HALF_LENGTH * turning * cos) / total;
  return [x + SECONDS * v, v + SECONDS * acceleration, angle + SECONDS * w, w + SECONDS * turning];
}

/**
 * Cart and pole. Observations: the state. Actions: 0 pushes left, 1 right. An episode ends when the pole falls, the cart leaves, or the
 * clock runs out.
 */
export class CartPole {
  observationSize = 4;
  actions = 2;
  #stream;
  #limit;
  #episode = -1;
  #steps = 0;
  #over = true;
  #state = [0, 0, 0, 0];

  /** @param {number | bigint} seed of the starts, each episode's from its own tick @param {number} limit steps an episode at most */
  constructor(seed = 0, limit = 500) {
    this.#stream = new Noise(seed).stream("cart-pole");
    this.#limit = limit;
  }

  reset() {
    this.#episode++;
    this.#steps = 0;
    this.#over = false;
    this.#state = Array.from(this.#stream.uniform(new Float32Array(4), { tick: this.#episode }), (u) => (2 * u - 1) * START);
    return Float32Array.from(this.#state);
  }

  step(action) {
    if (this.#over) throw new Error("The cart took a step after the end of its episode: call reset() first.");
    this.#state = cartPoleStep(this.#state, action === 1 ? FORCE : -FORCE);
    this.#steps++;
    const fallen = Math.abs(this.#state[0]) > EDGE || Math.abs(this.#state[2]) > FALLEN;
    this.#over = fallen || this.#steps >= this.#limit;
    return { observation: Float32Array.from(this.#state), reward: 1, end: fallen ? "terminal" : this.#over ? "time" : undefined };
  }
}
