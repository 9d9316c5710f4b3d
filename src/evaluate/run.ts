// Does what is planned, in this order: greedy answers of both halves, the clean model's reading of them, dials tuned on the tuning half, then every
// method's answers to the test half (for uncertainty to the tuning half, too). What an interrupted evaluation had finished is not done again.

import { identity } from "../files/identity.js";
import type { Model } from "../llama/model.js";
import type { Half, Task } from "../tasks/task.js";
import { tuned } from "./dials.js";
import { type Dial, methodOf } from "./methods.js";
import { type Evaluation, outcomes } from "./outcomes.js";
import { type EvaluateOptions, evaluationSettings } from "./plan.js";
import { Reader } from "./reading.js";
import { type Answers, at, type EvaluationRecords, levelsOf, type MemberReading } from "./records.js";
import { Steps } from "./steps.js";

/**
 * Lets methods of getting several answers work on a task side by side, at dials that are tuned to the same share of flips, or the same accuracy, on
 * the tuning half, and says how right they are on the test half, with 95 % intervals. The same model, task, settings and seed give the same numbers,
 * seconds aside. The model answers as many questions at once as it was loaded for (LoadOptions.parallel); `keepPrompts` saves the reading of what
 * questions have in common.
 * @throws BrownianError usage for settings out of range, halves without questions, levels that weights do not reach; as `Model.complete`; the
 * signal's reason when aborted
 *
 * @example
 * const task = parseTask(makeTask("arithmetic", { questions: 100 }), "sums");
 * const { points } = await evaluate(model, task, { methods: ["quenched"], levels: [0.5], samples: 4 });
 */
export async function evaluate(model: Model, task: Task, options: EvaluateOptions = {}): Promise<Evaluation> {
  const settings = evaluationSettings(model, task, options);
  const steps = new Steps(model, task, settings, options);
  const greedy = {
    tuning: await steps.answers("tuning", "greedy", "greedy", 0, {}),
    test: await steps.answers("test", "greedy", "greedy", 0, {}),
  };
  const readers = {
    tuning: new Reader(steps, "tuning", greedy.tuning.answers),
    test: new Reader(steps, "test", greedy.test.answers),
  };
  const clean = { tuning: await readers.tuning.clean(), test: await readers.test.clean() };
  const { dials, targets } = await tuned(steps, readers.tuning);
  const halves: readonly Half[] = settings.uncertainty ? ["tuning", "test"] : ["test"];
  const answers: Record<Half, Record<string, readonly Answers[]>> = { tuning: {}, test: {} };
  const members: Record<Half, Record<string, readonly (readonly MemberReading[])[]>> = { tuning: {}, test: {} };
  for (const half of halves) {
    for (const method of settings.methods)
      for (const level of levelsOf(method, settings)) {
        const name = at(method, level);
        const own: Answers[] = method === "greedy" ? [greedy[half]] : [];
        while (own.length < (method === "greedy" ? 1 : settings.samples))
          own.push(await steps.answers(half, method, name, own.length, dials[name] as Dial));
        answers[half][name] = own;
      }
    const moving = settings.methods.find((method) => methodOf(method).dials === "sigma");
    if (!settings.uncertainty || moving === undefined) continue;
    for (const level of settings.levels) {
      const own: (readonly MemberReading[])[] = [];
      for (let sample = 0; sample < settings.samples; sample++)
        own.push(await readers[half].member(level, sample, dials[at(moving, level)]?.sigma as number));
      members[half][level] = own;
    }
  }
  const records: EvaluationRecords = {
    settings,
    model: await identity(model.path),
    task: { name: task.name, sha256: task.sha256, questions: task.questions.length },
    dials,
    targets,
    answers,
    clean,
    members,
  };
  return outcomes(records, task);
}
