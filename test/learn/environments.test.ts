// Deep Sea and CartPole as published: returns that can be counted by hand, the number of treasures among all policies, one step of the
// equations of motion worked out apart.
import { describe, expect, it } from "vitest";
import { CartPole, cartPoleStep } from "../../examples/environments/cart-pole.mjs";
import { DeepSea } from "../../examples/environments/deep-sea.mjs";

/** The return and length of one episode. */
function episode(world: CartPole | DeepSea, choose: (step: number) => number): { total: number; steps: number } {
  world.reset();
  let total = 0;
  for (let steps = 0; ; ) {
    const { reward, end } = world.step(choose(steps++));
    total += reward;
    if (end !== undefined) return { total, steps };
  }
}

describe("Deep Sea", () => {
  it("pays 0.99 to the one who always goes right, and nothing to the one who never does", () => {
    const sea = new DeepSea(10, 4);
    const right = episode(sea, () => sea.rightAction());
    expect(right.steps).toBe(10);
    expect(right.total).toBeCloseTo(0.99, 12);
    expect(episode(sea, () => 1 - sea.rightAction()).total).toBe(0);
    // Right, then left for good: one move's cost.
    expect(episode(sea, (t) => (t === 0 ? sea.rightAction() : 1 - sea.rightAction())).total).toBeCloseTo(-0.001, 12);
  });

  it("hides the treasure from all but one of 2^N action sequences", () => {
    const size = 6;
    let treasures = 0;
    for (let code = 0; code < 2 ** size; code++) {
      const sea = new DeepSea(size, 9);
      if (episode(sea, (t) => (code >> t) & 1).total > 0.5) treasures++;
    }
    expect(treasures).toBe(1);
  });

  it("shows where the diver is, and nothing at the end", () => {
    const sea = new DeepSea(3, 1);
    expect([...sea.reset()]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...sea.step(sea.rightAction()).observation]).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 0]);
    expect([...sea.step(1 - sea.rightAction()).observation]).toEqual([0, 0, 0, 0, 0, 0, 1, 0, 0]);
    const last = sea.step(0);
    expect(last.end).toBe("terminal");
    expect(last.observation.every((x) => x === 0)).toBe(true);
    expect(() => sea.step(0)).toThrow(/call reset/);
    expect(() => new DeepSea(0)).toThrow(/size of 1 or more/);
  });

  it("mixes the meaning of actions by its seed", () => {
    const meanings = (seed: number) => {
      const sea = new DeepSea(10, seed);
      sea.reset();
      return Array.from({ length: 9 }, () => {
        const right = sea.rightAction();
        sea.step(right);
        return right;
      }).join("");
    };
    expect(new Set([1, 2, 3, 4].map(meanings)).size).toBe(4);
    expect(meanings(1)).toBe(meanings(1));
  });
});

describe("CartPole", () => {
  it("moves by the published equations", () => {
    // Upright and at rest, pushed by 10 N: temp = 10 / 1.1, a'' = -temp / (0.5 (4/3 - 0.1 / 1.1)), x'' = temp - 0.05 a'' / 1.1.
    const temp = 10 / 1.1;
    const turning = -temp / (0.5 * (4 / 3 - 0.1 / 1.1));
    const [x, v, angle, w] = cartPoleStep([0, 0, 0, 0], 10);
    expect([x, angle]).toEqual([0, 0]);
    expect(v).toBeCloseTo(0.02 * (temp - (0.05 * turning) / 1.1), 14);
    expect(w).toBeCloseTo(0.02 * turning, 14);
    // Mirrored states move as mirrors.
    const mirrored = cartPoleStep([-0.1, -0.2, -0.03, -0.4], -10);
    for (const [i, value] of cartPoleStep([0.1, 0.2, 0.03, 0.4], 10).entries()) expect(mirrored[i]).toBeCloseTo(-value, 14);
  });

  it("makes no energy but by the push: dE/dt = force x velocity, at any state", () => {
    // Kinetic energy of cart and rod (4/3 m l^2 about the hinge) and the rod's height. The step is linear in the accelerations, so grad E .
    // (after - before) / dt is dE/dt.
    const energy = ([, v, a, w]: readonly number[]) =>
      0.5 * 1.1 * v! ** 2 + 0.05 * v! * w! * Math.cos(a!) + 0.5 * 0.1 * (4 / 3) * 0.25 * w! ** 2 + 0.1 * 9.8 * 0.5 * Math.cos(a!);
    for (const state of [
      [0, 0.3, 0.1, -0.5],
      [1, -2, -0.8, 3],
      [0.5, 1, 2.5, -4],
    ] as const)
      for (const force of [0, 10]) {
        const after = cartPoleStep(state, force);
        let power = 0;
        for (let i = 0; i < 4; i++) {
          const at = (h: number) => energy(state.map((x, j) => (j === i ? x + h : x)));
          power += (((at(1e-5) - at(-1e-5)) / 2e-5) * (after[i]! - state[i]!)) / 0.02;
        }
        expect(power).toBeCloseTo(force * state[1], 7);
      }
  });

  it("ends when the pole falls, or by the clock", () => {
    const fallen = episode(new CartPole(1), () => 1);
    expect(fallen.steps).toBe(fallen.total);
    expect(fallen.steps).toBeLessThan(15);
    expect(fallen.steps).toBeGreaterThan(5);
    // A known controller (push to where the pole leans and turns) lasts.
    const cart = new CartPole(2, 200);
    let state = cart.reset();
    for (let steps = 1; ; steps++) {
      const step = cart.step(state[2]! + state[3]! > 0 ? 1 : 0);
      state = step.observation;
      if (step.end === undefined) continue;
      expect(steps).toBe(200);
      expect(step.end).toBe("time");
      break;
    }
    expect(() => cart.step(0)).toThrow(/call reset/);
  });

  it("starts within 0.05, elsewhere every time", () => {
    const cart = new CartPole(3);
    const starts = Array.from({ length: 50 }, () => [...cart.reset()]);
    expect(starts.flat().every((x) => Math.abs(x) <= 0.05)).toBe(true);
    expect(new Set(starts.map(String)).size).toBe(50);
    expect([...new CartPole(3).reset()]).toEqual(starts[0]);
  });
});
