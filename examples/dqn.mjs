// Deep Q-learning (Mnih et al. 2015) with replay and a target network, for several agents at once, each in a world of its own: their
// tensors are stacked, since a step of the autodiff library costs little more for ten small networks than for one. How agents explore is
// handed in.
import {
  adam,
  adaptSigma,
  draw,
  init,
  jax,
  moveParameters,
  parameterNoise,
  policyDistance,
  refTree,
  tensor,
  values,
} from "brownian/learn";

/**
 * How agents explore.
 * @typedef {object} Exploration
 * @property {(observationSize: number, actions: number) => import("brownian/learn").Layer<any, any>} network
 * @property {(share: number) => number} [epsilon] the chance of a random action after this share of the episodes; default 0
 * @property {"step" | "episode"} [redraw] when the noise of a noisy network is drawn anew for acting (learning draws every time); default
 *   "episode"
 * @property {{ sigma: number, target: number }} [adaptive] Plappert's parameter noise: sigma at the start, the distance it is steered to
 */

/**
 * Trains an agent a world.
 * @param {() => any[]} makeWorlds fresh worlds, one an agent, alike in what is seen and done
 * @param {Exploration} exploration
 * @param {{ key: import("brownian/learn").Key, episodes: number, onEpisode?: (episode: number) => void } & Record<string, any>} options
 * @returns per agent: the return of every episode, of the greedy policy without noise every `evaluateEvery` episodes, and sigma of
 *   parameter noise
 */
export async function dqn(makeWorlds, exploration, options) {
  const { key, episodes, rate, discount, batchSize, learnEvery, targetEvery, evaluateEvery, onEpisode } = {
    ...DEFAULTS,
    ...options,
  };
  const worlds = makeWorlds();
  const agents = await startAgents(worlds, exploration, { key, rate, discount, batchSize, targetEvery });
  const returns = worlds.map(() => new Float64Array(episodes));
  const still = worlds.map(() => []);
  const sigma = worlds.map(() => []);
  const dice = key.child("dice").stream;
  let steps = 0;
  for (let episode = 0; episode < episodes; episode++) {
    const epsilon = exploration.epsilon?.(episode / episodes) ?? 0;
    const policy = agents.policy(episode);
    const act = (observations) => {
      const greedy = policy.act(observations, exploration.redraw === "step" ? steps : episode);
      if (epsilon === 0) return greedy;
      const rolls = dice.uniform(new Float32Array(2 * worlds.length), { tick: steps });
      return greedy.map((action, a) => (rolls[2 * a] < epsilon ? Math.floor(rolls[2 * a + 1] * worlds[a].actions) : action));
    };
    const totals = play(worlds, act, (transitions) => {
      for (const { agent, ...transition } of transitions) agents.remember(agent, transition);
      if (++steps % learnEvery === 0) agents.learn();
    });
    totals.forEach((total, a) => {
      returns[a][episode] = total;
    });
    sigma.forEach((path, a) => {
      path.push(policy.sigmas[a]);
    });
    policy.end();
    if ((episode + 1) % evaluateEvery === 0) {
      const atRest = agents.policy(undefined);
      for (const [a, total] of play(makeWorlds(), (observations) => atRest.act(observations)).entries()) still[a].push(total);
      atRest.end();
    }
    onEpisode(episode + 1);
  }
  agents.end();
  return { returns, still, sigma };
}

const DEFAULTS = {
  rate: 1e-3,
  discount: 0.99,
  batchSize: 32,
  learnEvery: 5, // steps of the world
  targetEvery: 20, // steps of learning
  evaluateEvery: 50, // episodes
  onEpisode: () => {},
};

/** One episode in every world. @returns their returns */
function play(worlds, act, onStep = () => {}) {
  const observations = worlds.map((world) => world.reset());
  const totals = worlds.map(() => 0);
  const running = worlds.map(() => true);
  while (running.some(Boolean)) {
    const actions = act(observations);
    const transitions = worlds.flatMap((world, agent) => {
      if (!running[agent]) return [];
      const { observation: next, reward, end } = world.step(actions[agent]);
      const transition = {
        agent,
        observation: observations[agent],
        action: actions[agent],
        reward,
        next,
        goesOn: end !== "terminal",
      };
      totals[agent] += reward;
      running[agent] = end === undefined;
      observations[agent] = next;
      return [transition];
    });
    onStep(transitions);
  }
  return totals;
}

/** Networks, memories and lessons of all agents. */
async function startAgents(worlds, exploration, { key, rate, discount, batchSize, targetEvery }) {
  await init();
  const { jit, vmap, grad, lax, numpy: np, tree } = jax();
  const count = worlds.length;
  const { observationSize, actions } = worlds[0];
  const network = exploration.network(observationSize, actions);
  const optimizer = adam();
  const noisy = JSON.stringify(network.noise(1)).includes("law");
  const noiseAt = (name, tick) => (noisy ? draw(stacked(network.noise(1), count), key.child(name), tick) : []);
  const apply = (params, x, noise) => network.apply(params, x, noisy ? noise : undefined);

  const q = jit(vmap(apply));
  const qStill = jit(vmap((params, x) => network.apply(params, x)));
  const move = jit(vmap(moveParameters));
  const loss = vmap((params, target, noise, targetNoise, { x, action, reward, next, goesOn }) => {
    const future = np.max(apply(target, next, targetNoise), -1);
    const goal = lax.stopGradient(reward.add(goesOn.mul(discount).mul(future)));
    return np.square(apply(params, x, noise).mul(action).sum(-1).sub(goal)).mean();
  });
  const learn = jit((params, state, rate, ...rest) => {
    const gradient = grad((p, ...others) => loss(p, ...others).sum())(tree.ref(params), ...rest);
    return optimizer.update(params, gradient, state, rate, {});
  });

  const first = worlds.map((_, a) => network.init(key.child("init").child(a)));
  let params = tree.map((...leaves) => np.stack(leaves), ...first);
  let target = refTree(params);
  let state = optimizer.init(params);
  const memories = worlds.map(() => []);
  let sigmas = worlds.map(() => exploration.adaptive?.sigma ?? 0);
  let lessons = 0;

  const stack = (rows, width) => {
    const out = new Float32Array(count * rows[0].length * width);
    for (const [i, row] of rows.flat().entries()) out.set(row, i * width);
    return tensor(out, [count, rows[0].length, width]);
  };
  /** The same number of remembered transitions of every agent. */
  const recall = (n, name, tick) => {
    const u = key.child(name).stream.uniform(new Float32Array(count * n), { tick });
    return memories.map((memory, a) => Array.from({ length: n }, (_, i) => memory[Math.floor(u[a * n + i] * memory.length)]));
  };
  const states = (transitions) =>
    stack(
      transitions.map((agent) => agent.map((t) => t.observation)),
      observationSize,
    );

  return {
    remember: (agent, transition) => memories[agent].push(transition),
    learn() {
      const transitions = recall(batchSize, "replay", lessons);
      const scalars = (of) => tensor(Float32Array.from(transitions.flat(), of), [count, batchSize]);
      const batch = {
        x: states(transitions),
        action: stack(
          transitions.map((agent) =>
            agent.map((t) => Float32Array.from({ length: actions }, (_, i) => (i === t.action ? 1 : 0))),
          ),
          actions,
        ),
        reward: scalars((t) => t.reward),
        next: stack(
          transitions.map((agent) => agent.map((t) => t.next)),
          observationSize,
        ),
        goesOn: scalars((t) => (t.goesOn ? 1 : 0)),
      };
      [params, state] = learn(
        params,
        state,
        tensor(rate),
        refTree(target),
        noiseAt("learning", lessons),
        noiseAt("target", lessons),
        batch,
      );
      if (++lessons % targetEvery !== 0) return;
      tree.dispose(target);
      target = refTree(params);
    },
    /** The policy of an episode; undefined: without any noise. */
    policy(episode) {
      const used = [...sigmas];
      const moves = exploration.adaptive !== undefined && episode !== undefined;
      const weights = moves
        ? move(refTree(params), tensor(used), draw(parameterNoise(params), key.child("parameters"), episode))
        : refTree(params);
      const table = (x, tick) =>
        values(episode === undefined || !noisy ? qStill(refTree(weights), x) : q(refTree(weights), x, noiseAt("acting", tick)));
      return {
        sigmas: used,
        act(observations, tick) {
          const all = table(
            stack(
              observations.map((o) => [o]),
              observationSize,
            ),
            tick,
          );
          return observations.map((_, a) => all.subarray(a * actions, (a + 1) * actions)).map(argmax);
        },
        end() {
          if (moves) {
            // How far the moved policy went, on remembered states: sigma follows (once an episode).
            const x = states(recall(DISTANCE_STATES, "distance", episode));
            const [moved, rest] = [table(x.ref), values(qStill(refTree(params), x))];
            const per = DISTANCE_STATES * actions;
            sigmas = used.map((sigma, a) => {
              const of = (all) => all.subarray(a * per, (a + 1) * per);
              return adaptSigma(sigma, policyDistance(of(rest), of(moved), actions), {
                target: exploration.adaptive.target,
                alpha: ALPHA,
              });
            });
          }
          tree.dispose(weights);
        },
      };
    },
    end() {
      tree.dispose([params, target]);
      tree.dispose(state);
      for (const compiled of [q, qStill, move, learn]) compiled.dispose();
    },
  };
}

const DISTANCE_STATES = 32;
const ALPHA = 1.01; // Plappert et al.

function argmax(row) {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i] > row[best]) best = i;
  return best;
}

/** The same draws for `count` agents, stacked. */
function stacked(draws, count) {
  if ("law" in draws && "shape" in draws) return { ...draws, shape: [count, ...draws.shape] };
  const children = Object.entries(draws).map(([name, child]) => [name, stacked(child, count)]);
  return Array.isArray(draws) ? children.map(([, child]) => child) : Object.fromEntries(children);
}
