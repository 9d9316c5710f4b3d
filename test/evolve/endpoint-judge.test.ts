// An LLM as a judge, in front of a server that answers well, badly, late, or not at all.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { endpointJudge, markIn } from "../../src/evolve/endpoint-judge.js";

type Asked = {
  readonly model?: string;
  readonly temperature: number;
  readonly messages: readonly { readonly content: string }[];
};
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server whose judge says what `say` returns: a text, another body, a status, or nothing for ever. */
async function judgeThat(say: (asked: Asked, count: number) => string | object | number | undefined) {
  let count = 0;
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const said = say(JSON.parse(Buffer.concat(parts).toString()) as Asked, count++);
    if (said === undefined) return;
    if (typeof said === "number") response.writeHead(said).end("{}");
    else {
      const body = typeof said === "string" ? { choices: [{ message: { content: said } }] } : said;
      response.setHeader("content-type", "application/json").end(JSON.stringify(body));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, count: () => count };
}

const answered = (...texts: string[]) => texts.map((text) => ({ question: { prompt: "Two and two?", answers: ["4"] }, text }));

describe("an endpoint that judges", () => {
  it("marks each answer, told of the question, as a share of the best", async () => {
    const seen: Asked[] = [];
    const { url } = await judgeThat((asked) => {
      seen.push(asked);
      return asked.messages[0]?.content.includes("{answer} is four") ? "10" : "Score: 2.5/10";
    });
    const judge = endpointJudge({ endpoints: [url, `${url}/v1`], model: "critic" });
    expect(await judge(answered("{answer} is four", "five"))).toEqual([1, 0.25]);
    expect(seen.every(({ model, temperature }) => model === "critic" && temperature === 0)).toBe(true);
    expect(seen[0]?.messages[0]?.content).toContain("Two and two?");
    const own = endpointJudge({ endpoints: [url], instruction: "From 1 to 3: {text}", least: 1, most: 3 });
    expect(await own(answered("{answer} is four")).catch((error: Error) => error.message)).toMatch(/no mark from 1 to 3/);
    expect(await own(answered("six"))).toEqual([0.75]);
  });

  it("is asked again for what is no mark, and then it is an error that says what it said", async () => {
    const hesitating = await judgeThat((_, count) => (count === 0 ? "It depends." : "7"));
    expect(await endpointJudge({ endpoints: [hesitating.url] })(answered("four"))).toEqual([0.7]);
    expect(hesitating.count()).toBe(2);
    const vague = await judgeThat(() => "between 3 and 4");
    const failed = endpointJudge({ endpoints: [vague.url], retries: 1 })(answered("four"));
    await expect(failed).rejects.toMatchObject({ code: "reward-failed", message: expect.stringContaining("between 3 and 4") });
    expect(vague.count()).toBe(2);
  });

  it("may be late, refuse, or be of another shape: named errors; another takes its place", async () => {
    const late = await judgeThat(() => undefined);
    const quick = { retries: 0, pause: 0, deadline: 0.3 };
    const never = endpointJudge({ endpoints: [late.url], ...quick })(answered("four"));
    await expect(never).rejects.toMatchObject({ code: "endpoint-failed", message: expect.stringMatching(/not within 0\.3 s/) });
    const refusing = await judgeThat(() => 401);
    await expect(endpointJudge({ endpoints: [refusing.url], ...quick })(answered("four"))).rejects.toThrow(
      /refuses \(HTTP 401\)/,
    );
    const strange = await judgeThat(() => ({ answer: 4 }));
    await expect(endpointJudge({ endpoints: [strange.url], ...quick })(answered("four"))).rejects.toThrow(/another shape/);
    const busy = await judgeThat((_, count) => (count === 0 ? 503 : "10"));
    expect(await endpointJudge({ endpoints: [busy.url], pause: 0 })(answered("four"))).toEqual([1]);
    const well = await judgeThat(() => "10");
    expect(await endpointJudge({ endpoints: [late.url, well.url], ...quick })(answered("four", "five"))).toEqual([1, 1]);
  });

  it("is refused what makes no sense", () => {
    expect(() => endpointJudge({ endpoints: [] })).toThrow(/at least one endpoint/);
    expect(() => endpointJudge({ endpoints: ["localhost"] })).toThrow(/such as http/);
    expect(() => endpointJudge({ endpoints: ["http://a"], instruction: "Mark it." })).toThrow(/needs \{text\}/);
    expect(() => endpointJudge({ endpoints: ["http://a"], least: 1, most: 1 })).toThrow(/above least/);
  });

  it("reads one number, and none where there are several", () => {
    const texts = ["8", " 8.5 ", "8/10", "8 out of 10.", "Mark: -1", "7 or 8", "eight", ""];
    expect(texts.map(markIn)).toEqual([8, 8.5, 8, 8, -1, undefined, undefined, undefined]);
  });
});
