// Noise that the engine adds to its weights by itself: members of low rank (src/adapters), written to scratch, loaded and exchanged while the model
// stays as it is. Over ticks a mixture of K members goes by an Ornstein-Uhlenbeck process in its coefficients:
//   E(t) = sigma sum_k c_k(t) E_k,  c_k(0) = z_k / sqrt(K),  c_k(t + m) = a c_k(t) + sqrt(1 - a^2) z_k(t + m) / sqrt(K),  a = e^(-m/tau)
// Invariant: over draws of the members every weight has mean 0, variance sigma^2, and autocorrelation e^(-t/tau) at t = 0, m, 2 m, ...

import { Members } from "../adapters/members.js";
import { adapterFile, writeAdapterFile } from "../adapters/write.js";
import type { Adapter, Engine } from "../engine/index.js";
import { type ModelFile, withScratchFile } from "../files/index.js";
import { Noise } from "../noise/index.js";
import type { Carrier, CheckedNoise } from "../thermostat/noise.js";

/** The stream of coefficients: no tensor is called so. */
const COEFFICIENTS = "brownian.adapter.coefficients";
/** Numbers of members that stay loaded, though no text needs them now: 256 MB. */
const MOST_NUMBERS = 2 ** 26;

export class Carried {
  /** Members by scale, tensors, rank and seed: their measures are the model's. */
  private readonly measured = new Map<string, Members>();
  /** What the engine has loaded, the longest unused first. */
  private readonly loaded = new Map<string, { readonly adapter: Adapter; readonly numbers: number }>();
  /** What is added now. */
  private present: { noise: CheckedNoise; adapters: readonly Adapter[]; members: Members; tick: number } | undefined;
  private coefficients: Float32Array = new Float32Array();

  constructor(
    private readonly model: ModelFile,
    private readonly engine: () => Engine,
    private readonly scratch: string | undefined,
    private readonly most = MOST_NUMBERS,
  ) {}

  /** Weights that are moved now. */
  get weights(): number {
    return this.present?.members.weights ?? 0;
  }

  /** The engine was loaded anew: it has no adapters. */
  forget(): void {
    this.loaded.clear();
    this.present = undefined;
  }

  /** Weights as they are in the file. */
  async clear(): Promise<void> {
    if (this.present === undefined) return;
    this.present = undefined;
    await this.engine().adapt?.([], []);
  }

  /** Adds the noise of tick 0. @throws BrownianError as `Members.open`; engine-failed */
  async start(noise: CheckedNoise): Promise<void> {
    const carrier = noise.carrier as Carrier;
    const members = await this.members(noise);
    const moving = noise.dynamics.moves;
    const count = moving ? carrier.subspace : 1;
    const adapters: Adapter[] = [];
    for (let k = 0; k < count; k++) adapters.push(await this.adapter(members, noise, carrier.member + k));
    this.coefficients = moving ? this.normals(noise, count, 0) : Float32Array.of(1);
    this.present = { noise, adapters, members, tick: 0 };
    await this.set(noise.at(0));
    this.evict(new Set(adapters), members.numbers);
  }

  /** One step of time. */
  async tick(): Promise<void> {
    const { present } = this;
    if (present === undefined) return;
    const { noise } = present;
    if (!noise.dynamics.moves) return;
    const tick = ++present.tick;
    const stride = noise.visits;
    if (tick % stride !== 0) return;
    const a = Math.exp(-stride / noise.tau);
    const kick = Math.sqrt(-Math.expm1((-2 * stride) / noise.tau));
    const z = this.normals(noise, this.coefficients.length, tick);
    this.coefficients = this.coefficients.map((c, k) => a * c + kick * (z[k] as number));
    await this.set(noise.at(tick));
  }

  /** Of variance 1 / K. */
  private normals({ seed }: CheckedNoise, count: number, tick: number): Float32Array {
    const z = new Noise(seed).stream(COEFFICIENTS).normal(new Float32Array(count), { tick });
    return z.map((value) => value / Math.sqrt(count));
  }

  private async set(sigma: number): Promise<void> {
    const scales = [...this.coefficients].map((c) => c * sigma);
    await this.engine().adapt?.(this.present?.adapters ?? [], scales);
  }

  private async members(noise: CheckedNoise): Promise<Members> {
    const key = tensorsKey(noise);
    let known = this.measured.get(key);
    if (known === undefined) {
      known = await Members.open(this.model, noise);
      this.measured.set(key, known);
    }
    return known.ofSeed(noise.seed);
  }

  /** A member at sigma 1, as the engine has it loaded. */
  private async adapter(members: Members, noise: CheckedNoise, member: number): Promise<Adapter> {
    const key = JSON.stringify([tensorsKey(noise), String(noise.seed), member]);
    const known = this.loaded.get(key);
    if (known !== undefined) {
      this.loaded.delete(key);
      this.loaded.set(key, known);
      return known.adapter;
    }
    const adapter = await withScratchFile(
      this.scratch,
      `member-${member}`,
      (path) => writeAdapterFile(path, adapterFile(members, member, 1)),
      (path) => (this.engine().loadAdapter as NonNullable<Engine["loadAdapter"]>)(path),
    );
    this.loaded.set(key, { adapter, numbers: members.numbers });
    return adapter;
  }

  private evict(used: ReadonlySet<Adapter>, numbers: number): void {
    let all = [...this.loaded.values()].reduce((sum, one) => sum + one.numbers, 0);
    for (const [key, one] of this.loaded) {
      if (all <= Math.max(this.most, numbers)) return;
      if (used.has(one.adapter)) continue;
      one.adapter.free();
      this.loaded.delete(key);
      all -= one.numbers;
    }
  }
}

const tensorsKey = ({ scale, file, only, skipUnsupported, carrier }: CheckedNoise): string =>
  JSON.stringify([scale, file, only, skipUnsupported, carrier?.rank]);
