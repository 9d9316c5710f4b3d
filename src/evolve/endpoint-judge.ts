// A reward that is another model's mark: each answer is shown to a judge at an endpoint that speaks OpenAI's chat completions, which is asked for a
// number and no more. What it says is not trusted: a mark that is none is asked for again, and then an error, never a guess.

import { Server, ServerError, STRANGE } from "../adapters/servers/index.js";
import { spread } from "../adapters/spread.js";
import { BrownianError, checkInteger, checkList, checkNumber, checkText, shown } from "../errors.js";
import { checkOptions, type Names } from "../options.js";
import type { Answered, Judge } from "./rewards.js";

/** Which judge, and how it is asked. */
export interface EndpointJudgeOptions {
  /** Addresses of servers, such as http://localhost:8080; each is asked for some of the marks. */
  readonly endpoints: readonly string[];
  /** Its name there; default: none is sent. */
  readonly model?: string | undefined;
  /**
   * What it is told, with {prompt}, {answer} (what was asked for) and {text} (what the model wrote) in their places; default: to mark from 0 to 10. It has
   * to ask for a number from `least` to `most` and nothing else.
   */
  readonly instruction?: string | undefined;
  /** The worst mark; default 0. */
  readonly least?: number | undefined;
  /** The best mark, above `least`; default 10. Rewards are 0 to 1: (mark - least) / (most - least). */
  readonly most?: number | undefined;
  readonly apiKey?: string | undefined;
  /** Seconds that one mark may take; default 60. */
  readonly deadline?: number | undefined;
  /** Tries that follow a failed one, or a mark that is none; default 2. */
  readonly retries?: number | undefined;
  /** Seconds before the first of these, doubled each time; default 0.5. */
  readonly pause?: number | undefined;
  /** Marks that one server is asked for at a time; default 4. */
  readonly concurrency?: number | undefined;
  /** Tokens that the judge may write; default 16. */
  readonly maxTokens?: number | undefined;
}

const NAMES: Names<EndpointJudgeOptions> = {
  endpoints: true,
  model: true,
  instruction: true,
  least: true,
  most: true,
  apiKey: true,
  deadline: true,
  retries: true,
  pause: true,
  concurrency: true,
  maxTokens: true,
};

const INSTRUCTION = `You mark answers. The question:

{prompt}

The right answer: {answer}

The answer to mark:

{text}

How good is it, from 0 (useless) to 10 (perfect)? Write the number and nothing else.`;

/**
 * A judge at one or more endpoints. A server that is gone leaves its marks to the others.
 *
 * @throws BrownianError usage; the judge itself: endpoint-failed where no server is left (with why: no answer within the deadline, refused, ...),
 * reward-failed where a mark is none after all tries
 * @example
 * const task = [{ prompt: "Two and two are", answers: ["four"] }, { prompt: "Two and three are", answers: ["five"] }];
 * const reward = endpointJudge({ endpoints: ["http://localhost:8080"] });
 * await evolve("model.gguf", { task, reward, rewardName: "judge of localhost" });
 */
export function endpointJudge(options: EndpointJudgeOptions): Judge {
  const { model, apiKey } = checkOptions("endpointJudge", options, NAMES);
  const instruction = checkText("instruction", options.instruction ?? INSTRUCTION);
  if (!instruction.includes("{text}"))
    throw new BrownianError("usage", "The judge's instruction needs {text} where the answer that it is to mark belongs.");
  const least = checkNumber("least", options.least ?? 0, -1e9, 1e9);
  const most = checkNumber("most", options.most ?? 10, -1e9, 1e9);
  if (!(most > least)) throw new BrownianError("usage", `most must be above least (${least}), but is ${most}.`);
  const deadline = checkNumber("deadline", options.deadline ?? 60, 0.01, 86_400);
  const work = {
    concurrency: checkInteger("concurrency", options.concurrency ?? 4, 1, 1024),
    retries: checkInteger("retries", options.retries ?? 2, 0, 100),
    pause: checkNumber("pause", options.pause ?? 0.5, 0, 3600),
  };
  const max_tokens = checkInteger("maxTokens", options.maxTokens ?? 16, 1);
  const servers = Array.from(checkList("endpoints", options.endpoints)).map(
    (url) => new Server(checkText("endpoint", url), { apiKey, deadline }),
  );
  if (servers.length === 0) throw new BrownianError("usage", "A judge needs at least one endpoint.");

  const mark = async (server: Server, answered: Answered, signal: AbortSignal): Promise<number> => {
    let said: unknown;
    for (let tried = 0; tried <= work.retries; tried++) {
      const body = {
        ...(model !== undefined && { model }),
        messages: [{ role: "user", content: filled(instruction, answered) }],
        max_tokens,
        // Greedily at first: equal answers get equal marks. What was no mark then needs another throw.
        temperature: tried === 0 ? 0 : 1,
        seed: tried,
      };
      said = contentOf(await server.post("/v1/chat/completions", body, signal));
      const given = markIn(said);
      if (given !== undefined && given >= least && given <= most) return (given - least) / (most - least);
    }
    throw new BrownianError(
      "reward-failed",
      `The judge at ${server.url} gives no mark from ${least} to ${most}, after ${work.retries + 1} tries: it says ${shown(said)}.`,
    );
  };
  return async (answered, signal) => (await spread(answered, servers, mark, { ...work, signal })).results.slice();
}

/** The instruction with what it is about. What stands in a question or an answer is not filled in again. */
function filled(instruction: string, { question: { prompt, answers }, text }: Answered): string {
  const asked = typeof prompt === "string" ? prompt : prompt.map(({ role, content }) => `${role}: ${content}`).join("\n");
  const values: Readonly<Record<string, string>> = { prompt: asked, answer: answers.join(" or "), text };
  return instruction.replace(/\{(prompt|answer|text)\}/g, (_, name: string) => values[name] as string);
}

/** @throws ServerError where the answer has another shape */
function contentOf(answer: unknown): unknown {
  const choices = (answer as { choices?: unknown } | null)?.choices;
  const [choice] = (Array.isArray(choices) ? choices : []) as readonly { message?: { content?: unknown } }[];
  if (typeof choice?.message?.content === "string") return choice.message.content;
  throw new ServerError("The judge answers in another shape than OpenAI's: it has no choices with a message.", STRANGE);
}

/** The one number that a judge wrote; undefined where there is none, or more than one ("8/10" and "8 out of 10" are 8). */
export function markIn(said: unknown): number | undefined {
  if (typeof said !== "string") return undefined;
  const bare = said.replace(/(\d)\s*(?:\/|out of)\s*\d+(?:\.\d+)?/gi, "$1");
  const numbers = bare.match(/-?\d+(?:\.\d+)?/g) ?? [];
  return numbers.length === 1 ? Number(numbers[0]) : undefined;
}
