// Knowledge distillation (Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015): a student learns what a teacher
// thinks of all classes, at a temperature that lets the small probabilities be seen. The temperature is the softmax's, of teacher and
// student alike, and is 1 again when the student is used.

import { BrownianError, checkList, checkNumber } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import { checkTensor, type Tensor, type Tree } from "./autodiff.js";
import { checkNetwork, type Layer } from "./layers.js";
import { softmaxCrossEntropy } from "./losses.js";
import { type Predictions, probabilities } from "./metrics.js";
import { checkPositive } from "./schedules.js";
import { checkDataset, type Dataset, type Minibatch, minibatch, rows, type Training } from "./train.js";

/** How much of the teacher the student hears, and how softly spoken. */
export interface DistillationOptions {
  /** T, above 0; default 4. Hinton et al. took 20 for students of 800 units, 2.5 to 4 for those of 30. */
  readonly temperature?: number;
  /** Weight of the teacher's part in [0, 1]; default 0.9. The rest goes to the true labels. */
  readonly soft?: number;
}

const NAMES: Names<DistillationOptions> = { temperature: true, soft: true };

/** A minibatch with the teacher's laws beside the labels. */
export type DistillationBatch = Minibatch & {
  /** The teacher's probabilities at T [batch, classes]. */
  soft: Tensor;
};

/**
 * C = soft T^2 H(p, softmax(z / T)) + (1 - soft) H(y, softmax(z)), H(p, q) = -sum p ln q, the mean over the minibatch, in nats (Hinton et
 * al. 2015, section 2).
 *
 * The gradient of H(p, softmax(z / T)) is (softmax(z / T) - p) / T, which falls as 1 / T^2 when T rises: T^2 keeps the two parts in
 * proportion at every T. For T large it is (z - v) / classes, v the teacher's logits, both of mean 0: matching logits.
 *
 * @param logits z [batch, classes].
 * @param softTargets p [batch, classes], the teacher's softmax(v / T) ({@link probabilities}).
 * @param targets y [batch, classes], one-hot
 * @throws BrownianError usage for shapes that differ, T not above 0, soft outside of [0, 1]
 *
 * @example
 * distillationLoss(tensor([0, 0], [1, 2]), tensor([0.5, 0.5], [1, 2]), tensor([1, 0], [1, 2]), { temperature: 2, soft: 1 }).js(); // 4 ln 2 = 2.7726
 */
export function distillationLoss(
  logits: Tensor,
  softTargets: Tensor,
  targets: Tensor,
  options: DistillationOptions = {},
): Tensor {
  const { temperature = 4, soft = 0.9 } = checkOptions("distillationLoss", options, NAMES);
  for (const x of [logits, softTargets, targets]) checkTensor("A law, or logits,", x);
  checkTemperature(temperature);
  checkNumber("soft", soft, 0, 1);
  const teacher = softmaxCrossEntropy(logits.ref.div(temperature), softTargets).mul(soft * temperature ** 2);
  return teacher.add(softmaxCrossEntropy(logits, targets).mul(1 - soft));
}

/**
 * What `train` needs to fit a student to a teacher: {@link distillationLoss}, minibatches with the teacher's laws, noise.
 *
 * @param dataset the transfer set: inputs with their true labels, on which nothing need be known to the teacher.
 * @param teacherLogits the teacher's, flat, [examples, classes]: `predict`'s
 * @throws BrownianError usage for an empty set, logits of another number, T not above 0, soft outside of [0, 1]
 *
 * @example
 * const logits = predict(teacher, teacherParams, dataset.inputs, dataset.features);
 * const { params } = await train({ ...distillation(student, dataset, logits, { temperature: 4 }), key, params: student.init(key), steps: 1000 });
 */
export function distillation<P extends Tree, N extends Tree>(
  student: Layer<P, N>,
  dataset: Dataset,
  teacherLogits: Predictions,
  options: DistillationOptions = {},
): Pick<Training<P, DistillationBatch, N, never, never>, "loss" | "batch" | "noise" | "examples"> {
  checkOptions("distillation", options, NAMES);
  checkNetwork("student", student);
  checkList("teacherLogits", teacherLogits);
  const examples = checkDataset(dataset);
  const { classes } = dataset;
  const temperature = checkTemperature(options.temperature ?? 4);
  checkNumber("soft", options.soft ?? 0.9, 0, 1);
  if (teacherLogits.length !== examples * classes)
    throw new BrownianError(
      "usage",
      `The teacher has ${teacherLogits.length} logits, but ${examples} examples and ${classes} classes make ${examples * classes}: predict the whole transfer set with it.`,
    );
  const laws = Float32Array.from(probabilities(teacherLogits, classes, temperature));
  return {
    examples,
    batch: (indices) => ({ ...minibatch(dataset, indices), soft: rows(laws, classes, indices) }),
    noise: (batch) => student.noise(batch),
    loss: (params, { x, y, soft }, noise) => distillationLoss(student.apply(params, x, noise), soft, y, options),
  };
}

function checkTemperature(temperature: number): number {
  return checkPositive("temperature", temperature);
}
