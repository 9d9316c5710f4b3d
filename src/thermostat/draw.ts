// One draw over the tensors of a model: what Thermostat does at every draw and perturbFile does once.

import { BrownianError } from "../errors.js";
import {
  chooseTensors,
  type FileWatch,
  type LiveTensors,
  type ModelFile,
  type Reader,
  type Skipped,
  type Tensor,
  type TensorMove,
  tensorRms,
} from "../files/index.js";
import type { Step } from "../kernels/step.js";
import { inTurns, turn } from "../kernels/turns.js";
import { encodedFormat } from "../lattice/formats.js";
import { makeMove, supportedFormat } from "../lattice/perturb.js";
import { censusColumns } from "../laws/census.js";
import { type MeanSquares, meanSquaresOf } from "../laws/mean-squares.js";
import type { Columns } from "../laws/move.js";
import { Field, Kind, Rounding } from "../laws/numbers.js";
import { streamKey } from "../noise/index.js";
import { type Dose, TensorDose } from "./dose.js";
import type { CheckedNoise } from "./noise.js";
import type { SigmaOf, TensorSigma } from "./scales/index.js";

/** What a draw did to one tensor. */
export interface TensorDrawn {
  /** The tensor that it was. */
  readonly tensor: Tensor;
  /** Standard deviation of its noise that was asked for, in weight units or in steps. */
  readonly sigma: TensorSigma;
  /** That again, sigma of the law that it moved by, and what that gives its weights on average. */
  readonly dose: Dose;
  /** Codes (or floats) that differ from the pristine model's. */
  readonly changed: number;
}

/**
 * What is found out once of a model: the RMS of its tensors, which never changes (it is the pristine model's), and the
 * rules of scales.
 */
export class Measures {
  private readonly known = new Map<string, Promise<unknown>>();
  private readonly numbers = new WeakMap<Columns, number>();
  private numbered = 0;
  constructor(
    private readonly reader: Pick<Reader, "sumSquares" | "census">,
    private readonly model: ModelFile,
  ) {}

  rms(tensor: Tensor): Promise<number> {
    return this.once(`rms ${tensor.name}`, () => tensorRms(this.reader, tensor));
  }

  /** How sigma becomes a tensor's, by the noise's scale. */
  sigmaOf(noise: CheckedNoise): Promise<SigmaOf> {
    return this.once(`scale ${noise.scale} ${noise.file}`, () => noise.open(this.model));
  }

  /**
   * What noise gives a tensor whose moves have these mean squares, called `law`. The one look at all its codes that it takes is the first time's.
   */
  async dose(tensor: Tensor, { inSteps, columns }: TensorSigma, law: string, squares: MeanSquares): Promise<TensorDose> {
    const format = encodedFormat(supportedFormat(tensor.type, `tensor ${tensor.name}: `));
    const of = `${tensor.name} ${columns === undefined ? "" : this.numberOf(columns)}`;
    return this.once(`dose ${of} ${law} ${inSteps}`, async () => {
      // Half the memory: models have hundreds of tensors, and a dose needs no whole numbers.
      const count = async () => new Float32Array(await this.reader.census(tensor, columns && censusColumns(columns)));
      const census = await this.once(`census ${of}`, count);
      return new TensorDose(census, format, squares, inSteps);
    });
  }

  private numberOf(columns: Columns): number {
    const number = this.numbers.get(columns) ?? this.numbered++;
    this.numbers.set(columns, number);
    return number;
  }

  private once<T>(what: string, measure: () => Promise<T>): Promise<T> {
    const known = this.known.get(what) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const measured = measure();
    measured.catch(() => this.known.delete(what)); // tried again next time
    this.known.set(what, measured);
    return measured;
  }
}

/** The tensors that this noise moves, and those left alone with the reason. */
export function choose(model: ModelFile, noise: CheckedNoise): { chosen: readonly Tensor[]; skipped: readonly Skipped[] } {
  return chooseTensors(model, noise);
}

/** How a tensor is to move; its sigma may be 0. */
export interface PlannedMove {
  readonly tensor: Tensor;
  /** As asked for. */
  readonly sigma: TensorSigma;
  readonly dose: Dose;
  readonly move: TensorMove;
}

/**
 * The move of a tensor at a tick at which the noise's sigma is `given`, in units of its scale, for what is done with it at that tick: the
 * dose depends on that.
 * @throws BrownianError usage where that is beyond float32
 */
async function planMove(
  tensor: Tensor,
  noise: CheckedNoise,
  given: number,
  tick: number,
  measures: Measures,
  step: Step = DRAW,
): Promise<PlannedMove> {
  const sigmaOf = await measures.sigmaOf(noise);
  const exact = await sigmaOf(given, { tensor, rms: () => measures.rms(tensor) });
  const sigma = { ...exact, sigma: Math.fround(exact.sigma) };
  if (!Number.isFinite(sigma.sigma))
    throw new BrownianError(
      "usage",
      `sigma ${given} (${noise.scale}) is beyond float32 on tensor ${tensor.name}: take a smaller one.`,
    );
  const dose = await doseOf(tensor, sigma, noise.rounding, measures, step);
  const move = makeMove(supportedFormat(tensor.type, `tensor ${tensor.name}: `), {
    ...sigma,
    sigma: dose.law,
    key: streamKey(noise.seed, tensor.name),
    tick,
    rounding: noise.rounding,
    index: 0,
    steps: null,
    rowLength: 1,
  });
  return { tensor, sigma, dose, move };
}

const DRAW: Step = { verb: "draw" };

/** Tensors that are planned at a time: a fraction of a millisecond where all is known of them, and enough to count for all threads where it is not. */
const TOGETHER = 8;

/**
 * The moves of all these tensors, as {@link planMove}, with turns of the event loop in between: a model has hundreds.
 * @throws BrownianError usage as there
 */
export async function planMoves(
  tensors: readonly Tensor[],
  noise: CheckedNoise,
  given: number,
  tick: number,
  measures: Measures,
  step: Step = DRAW,
): Promise<readonly PlannedMove[]> {
  const moves: PlannedMove[] = [];
  while (moves.length < tensors.length) {
    if (moves.length > 0) await turn();
    const some = tensors.slice(moves.length, moves.length + TOGETHER);
    moves.push(...(await Promise.all(some.map((tensor) => planMove(tensor, noise, given, tick, measures, step)))));
  }
  return moves;
}

/** The dose of a step's move. Only `matched` has one: what `nearest` and `stochastic` make of a sigma is theirs. */
export async function doseOf(
  tensor: Tensor,
  own: TensorSigma,
  rounding: Rounding,
  measures: Measures,
  step: Step = DRAW,
): Promise<Dose> {
  const { sigma, columns } = own;
  const format = encodedFormat(supportedFormat(tensor.type, `tensor ${tensor.name}: `));
  if (sigma === 0 || tensor.weights === 0 || format[Field.kind] !== Kind.lattice)
    return { asked: sigma, law: sigma, given: sigma };
  const byColumn = columns !== undefined;
  if (step.verb === "evolve") {
    const { law, strength } = step;
    const squares = law.stationary?.(strength, format, byColumn);
    if (squares === undefined) return { asked: sigma, law: sigma, given: sigma };
    return inTurns((await measures.dose(tensor, own, `${law.name} ${strength}`, squares)).dose(sigma));
  }
  const squares = meanSquaresOf(format, byColumn ? "column" : Rounding[rounding]);
  const known = await measures.dose(tensor, own, rounding, squares);
  if (rounding !== "matched") return inTurns(known.of(sigma));
  // Of free motion the kicks have the dose, as long as codes are where they began.
  const factor = step.verb === "diffuse" ? step.factor : 1;
  const { law, given } = await inTurns(known.dose(sigma * factor));
  return factor === 1 ? { asked: sigma, law, given } : { asked: sigma, law: Math.fround(law / factor), given: given / factor };
}

/** Tensors that are drawn at a time: while one is written, the next ones are looked at. */
const AT_A_TIME = 3;

/**
 * live := pristine + noise(seed, tick) for every given tensor; yields each as it is done, in their order. Nothing is under way any more when it has ended,
 * also by an error.
 */
export async function* drawTensors(
  liveTensors: Pick<LiveTensors, "perturb" | "restore">,
  tensors: readonly Tensor[],
  noise: CheckedNoise,
  tick: number,
  measures: Measures,
  watch: FileWatch = {},
): AsyncGenerator<TensorDrawn> {
  const one = async (tensor: Tensor): Promise<TensorDrawn> => {
    const { sigma, dose, move } = await planMove(tensor, noise, noise.at(tick), tick, measures);
    if (sigma.sigma > 0) return { tensor, sigma, dose, changed: await liveTensors.perturb(tensor, move, watch) };
    await liveTensors.restore(tensor, watch);
    return { tensor, sigma, dose, changed: 0 };
  };
  const running: Promise<TensorDrawn>[] = [];
  try {
    for (const tensor of tensors) {
      watch.signal?.throwIfAborted();
      const next = one(tensor);
      next.catch(() => undefined); // thrown when its turn has come
      running.push(next);
      if (running.length === AT_A_TIME) yield await (running.shift() as Promise<TensorDrawn>);
    }
    while (running.length > 0) yield await (running.shift() as Promise<TensorDrawn>);
  } finally {
    await Promise.allSettled(running);
  }
}
