// Does what is planned, in this order: greedy answers of both halves, the clean model's reading of them, dials tuned on the tuning half, then every
// method's answers to the test half (for uncertainty to the tuning half, too). What an interrupted evaluation had finished is not done again.

import type { Model } from "../llama/model.js";
import type { Half, Task } from "../tasks/task.js";
import { tuned } from "./dials.js";
import { carriedBy, type Dial, type MethodName, methodOf } from "./methods.js";
import { type Evaluation, outcomes } from "./outcomes.js";
import { OwnEngine } from "./own-engine.js";
import { type EvaluateOptions, evaluationSettings } from "./plan.js";
import { type Answers, at, type EvaluationRecords, type EvaluationSettings, levelsOf, type MemberReading } from "./records.js";
import type { Respondent } from "./respondent.js";
import { type ServedMembers, Servers } from "./served.js";
import { type Sample, Steps } from "./steps.js";

/**
 * Lets methods of getting several answers work on a task side by side, at dials that are tuned to the same share of flips, or the same accuracy, on
 * the tuning half, and says how right they are on the test half, with 95 % intervals. The same model, task, settings and seed give the same numbers,
 * seconds aside. The model answers as many questions at once as it was loaded for (LoadOptions.parallel); or servers answer (`servedMembers`), whose
 * numbers are the same again as far as they compute the same again.
 * @throws BrownianError usage for settings out of range, halves without questions, levels that weights do not reach; as `Model.complete`; the
 * signal's reason when aborted
 *
 * @example
 * const task = parseTask(makeTask("arithmetic", { questions: 100 }), "sums");
 * const { points } = await evaluate(model, task, { methods: ["quenched"], levels: [0.5], samples: 4 });
 */
export async function evaluate(model: Model | ServedMembers, task: Task, options: EvaluateOptions = {}): Promise<Evaluation> {
  const by = respondent(model);
  const settings = evaluationSettings(by, task, options);
  const steps = new Steps(by, task, settings, options);
  const greedy = {
    tuning: await greedily(steps, "tuning"),
    test: await greedily(steps, "test"),
  };
  const readers = {
    tuning: by.reading(steps, "tuning", greedy.tuning.answers),
    test: by.reading(steps, "test", greedy.test.answers),
  };
  const clean = { tuning: await readers.tuning.clean(), test: await readers.test.clean() };
  const { dials, targets } = await tuned(steps, readers.tuning);
  const halves: readonly Half[] = settings.uncertainty ? ["tuning", "test"] : ["test"];
  const answers: Record<Half, Record<string, readonly Answers[]>> = { tuning: {}, test: {} };
  const members: Record<Half, Record<string, readonly (readonly MemberReading[])[]>> = { tuning: {}, test: {} };
  for (const half of halves) {
    answers[half].greedy = [greedy[half]];
    const asked = settings.methods.flatMap((method) => (method === "greedy" ? [] : samplesOf(method, settings, dials)));
    for (const [i, own] of (await steps.answers(half, asked)).entries()) {
      const { name } = asked[i] as Sample;
      answers[half][name] = [...(answers[half][name] ?? []), own];
    }
    const moving = settings.methods.find((method) => methodOf(method).dials === "sigma" && carriedBy(method) === "live");
    const reader = readers[half];
    if (!settings.uncertainty || moving === undefined || reader.member === undefined) continue;
    for (const level of settings.levels) {
      const own: (readonly MemberReading[])[] = [];
      for (let sample = 0; sample < settings.samples; sample++)
        own.push(await reader.member(level, sample, dials[at(moving, level)]?.sigma as number));
      members[half][level] = own;
    }
  }
  const records: EvaluationRecords = {
    settings,
    model: await by.identity(),
    task: { name: task.name, sha256: task.sha256, questions: task.questions.length },
    dials,
    targets,
    answers,
    clean,
    members,
  };
  return outcomes(records, task);
}

/** Who answers, as the room sees it. @throws BrownianError usage */
export const respondent = (model: Model | ServedMembers): Respondent =>
  model instanceof Servers ? model : new OwnEngine(model as Model);

const greedily = async (steps: Steps, half: Half): Promise<Answers> =>
  (await steps.answers(half, [{ method: "greedy", name: "greedy", number: 0, dial: {} }]))[0] as Answers;

/** All samples of a method, level by level. */
function samplesOf(method: MethodName, settings: EvaluationSettings, dials: Readonly<Record<string, Dial>>): Sample[] {
  return levelsOf(method, settings).flatMap((level) => {
    const name = at(method, level);
    return Array.from({ length: settings.samples }, (_, number) => ({ method, name, number, dial: dials[name] as Dial }));
  });
}
