// A conversation in the terminal: its history, its dials, and how it is broken off.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Conversation } from "../../src/cli/conversation.js";
import { loadModel, type Message, type Model } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

const TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}<s>Once upon a time";
const scratch = scratchFolder();
let model: Model;
beforeAll(async () => {
  model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch, chatTemplate: TEMPLATE });
});
afterAll(() => model.dispose());

const DIALS = { sigma: 0.1, temperature: 0, dynamics: "quenched", maxTokens: 12 };
let said = "";
let remarks: string[] = [];
const ear = {
  piece(text: string) {
    said += text;
  },
  remark(text: string) {
    remarks.push(text);
  },
};
beforeEach(() => {
  said = "";
  remarks = [];
});
const never = new AbortController().signal;
const open = (system?: string) => new Conversation(model, DIALS, system, 5n, ear);
const user = (content: string): Message => ({ role: "user", content });
const answer = async (messages: Message[], seed: bigint, more: object = {}) =>
  (await model.complete(messages, { ...DIALS, ...more, seed })).text;

describe("a conversation", () => {
  it("answers with its history, each answer with the next seed", async () => {
    const one = open("Be brief.");
    await one.hear("A king?", never);
    const system: Message = { role: "system", content: "Be brief." };
    const first = await answer([system, user("A king?")], 5n);
    expect(said).toBe(`${first}\n`);
    expect(remarks.at(-1)).toMatch(/^seed 5, \d+ tokens\/s, as long as it may be$/);
    said = "";
    await one.hear("And then?", never);
    const history: Message[] = [system, user("A king?"), { role: "assistant", content: first }, user("And then?")];
    expect(said).toBe(`${await answer(history, 6n)}\n`);
  });

  it("gives the last answer once more with another draw, in its place", async () => {
    const one = open();
    await one.hear("A king?", never);
    said = "";
    await one.hear("/again", never);
    const second = await answer([user("A king?")], 6n);
    expect(said).toBe(`${second}\n`);
    said = "";
    await one.hear("Go on.", never);
    expect(said).toBe(`${await answer([user("A king?"), { role: "assistant", content: second }, user("Go on.")], 7n)}\n`);
  });

  it("has dials that act on the next answer, and refuses those that there are not", async () => {
    const one = open();
    for (const line of ["/sigma 0", "/temperature 0.7", "/seed 9", "/dynamics andersen 8"]) await one.hear(line, never);
    expect(remarks).toContain("weights at rest, T = 0, next seed 5");
    expect(remarks.at(-1)).toMatch(/andersen moves weights at every token/);
    await one.hear("A king?", never);
    expect(said).toBe(`${await answer([user("A king?")], 9n, { sigma: 0, temperature: 0.7 })}\n`);
    const refused: readonly (readonly [string, RegExp])[] = [
      ["/sigma", /must be .*NaN/],
      ["/sigma -1", /0 to 1000000/],
      ["/dynamics x", /quenched/],
      ["/seed 1.5", /whole number/],
      ["/nothing", /no command \/nothing: \/help/],
    ];
    for (const [line, message] of refused) await expect(one.hear(line, never), line).rejects.toThrow(message);
    await one.hear("/dials", never);
    expect(remarks.at(-1)).toBe("weights at rest, T = 0.7, next seed 10");
    await one.hear("/help", never);
    expect(remarks.at(-1)).toMatch(/\/why/);
  });

  it("tells why: what moved weights disagree about in the last answer", async () => {
    const one = open();
    await expect(one.hear("/why", never)).rejects.toThrow(/none yet/);
    await one.hear("A king?", never);
    const text = said.trim();
    said = "";
    await one.hear("/why", never);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what underlines
    expect(said.replace(/\x1b\[\d+m/g, "").trim()).toBe(text);
    expect(remarks.at(-1)).toMatch(/^8 draws at σ = 0\.1: [\d.]+ nats a token, of which [\d.e-]+ are disagreement/);
  });

  it("goes on after an answer that was broken off, and ends when it is told to", async () => {
    const one = open();
    const end = new AbortController();
    const hearing = one.hear("A king?", end.signal);
    end.abort();
    expect(await hearing).toBe(true);
    expect(remarks.at(-1)).toMatch(/broken off/);
    said = "";
    await one.hear("A queen?", never);
    expect(said).toBe(`${await answer([user("A queen?")], 6n)}\n`); // the question without an answer is forgotten
    await one.hear("/new", never);
    await expect(one.hear("/again", never)).rejects.toThrow(/none yet/);
    expect(await one.hear("  ", never)).toBe(true);
    expect(await one.hear("/exit", never)).toBe(false);
  });

  it("does not begin with a model that was not taught to chat", async () => {
    const bare = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch });
    expect(() => new Conversation(bare, DIALS, undefined, undefined, ear)).toThrow(/no chat template/);
    await bare.dispose();
  });
});
