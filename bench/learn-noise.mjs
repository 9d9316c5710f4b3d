// What the noise of one step costs brownian/learn: normals from this project's streams, handed in as arrays, against the autodiff library's own generator.
// CPU time of this process, which other programs on the machine disturb less than the clock: node bench/learn-noise.mjs
import { init, jax, Key, values } from "brownian/learn";

await init();
const SHAPE = [100, 784]; // the first layer of a network for MNIST
const ROUNDS = 60;
const { random, jit } = jax();
const own = jit((key) => random.normal(key, SHAPE));
const key = new Key(1n);
const candidates = {
  "streams, as numbers": (tick) => key.numbers("normal", SHAPE[0] * SHAPE[1], tick),
  "streams, as a tensor": (tick) => key.normal(SHAPE, tick).dispose(),
  "@jax-js/jax random.normal, jitted": (tick) => values(own(random.key(tick))),
};
for (const [name, draw] of Object.entries(candidates)) {
  for (let tick = 0; tick < 5; tick++) draw(tick);
  const times = [];
  for (let tick = 0; tick < ROUNDS; tick++) {
    const before = process.cpuUsage();
    draw(tick);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
  }
  const median = times.sort((a, b) => a - b)[ROUNDS >> 1];
  process.stdout.write(`${name}: ${median.toFixed(2)} ms for ${SHAPE[0] * SHAPE[1]} normals (median of ${ROUNDS})\n`);
}
