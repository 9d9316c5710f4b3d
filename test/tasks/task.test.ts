// Tasks: every way in which questions are written, what is refused and where, and when an answer is right.
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { oneOf } from "../../src/evaluate/steps.js";
import { firstSentence, lastNumber, wordsOf } from "../../src/tasks/answers.js";
import {
  answerText,
  checkTask,
  halfOf,
  isRight,
  makeTask,
  matchOf,
  meaningOf,
  parseTask,
  type Question,
} from "../../src/tasks/index.js";

const read = (...lines: unknown[]): Question[] =>
  parseTask(lines.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"), "task.jsonl")
    .questions as Question[];

describe("a task", () => {
  it("is read from our own lines", () => {
    const [text, chat, pattern, choices] = read(
      { prompt: "2 + 2 =", answer: ["4", "four"], aliases: ["IV"] },
      "",
      { messages: [{ role: "user", content: "Capital?" }], answer: "Paris", kind: "capital" },
      { prompt: "x", answer: "/^ab+$/i" },
      { prompt: "x", answer: "yes", choices: ["yes", "no"] },
    ) as [Question, Question, Question, Question];
    expect(text).toEqual({ prompt: "2 + 2 =", answers: ["4", "four", "IV"], match: "contains" });
    expect(chat).toMatchObject({ prompt: [{ role: "user", content: "Capital?" }], kind: "capital", match: "contains" });
    expect(pattern.match).toBe("pattern");
    expect(choices).toMatchObject({ match: "exact", choices: ["yes", "no"] });
  });

  it("is read from what editors on Windows write", () => {
    const plain = read({ prompt: "2 + 2 =", answer: "4" }, { prompt: "x", answer: "y" });
    const lines = ['\ufeff{"prompt":"2 + 2 =","answer":"4"}\r', '{"prompt":"x","answer":"y"}\r', "\r"];
    expect(read(...lines)).toEqual(plain);
  });

  it("is read from what lm-evaluation-harness logs, and from what it reads", () => {
    const logged = {
      doc_id: 0,
      doc: {},
      target: "1",
      arguments: { gen_args_0: { arg_0: "Sky?", arg_1: " red" }, gen_args_1: { arg_0: "Sky?", arg_1: " blue" } },
    };
    const generated = {
      doc_id: 1,
      doc: {},
      target: "blue",
      arguments: { gen_args_0: { arg_0: "Sky?", arg_1: { until: ["\n"] } } },
    };
    const older = {
      doc_id: 2,
      doc: {},
      target: 0,
      arguments: [
        ["Sky?", " blue"],
        ["Sky?", " red"],
      ],
    };
    const arc = { question: "Sky?", choices: { text: ["red", "blue"], label: ["1", "2"] }, answerKey: "2" };
    const query = { query: "Sky?", choices: ["red", "blue"], gold: 1 };
    const all = read(logged, generated, older, arc, query);
    expect(all.map(({ answers }) => answers[0]?.trim())).toEqual(["blue", "blue", "blue", "blue", "blue"]);
    expect(all.map(({ match }) => match)).toEqual(["exact", "contains", "exact", "exact", "exact"]);
    expect(all[0]).toMatchObject({ prompt: "Sky?", choices: [" red", " blue"] });
    expect(all[3]?.prompt).toBe("Question: Sky?\nAnswer:");
  });

  it("is read from GSM8K: the number behind ####", () => {
    const [question] = read({ question: "How many?", answer: "3 + 4 = <<3+4=7>>7\n#### 1,007" }) as [Question];
    expect(question).toEqual({ prompt: "Question: How many?\nAnswer:", answers: ["1007"], match: "number" });
    expect(isRight(question, " So 3 + 4 gives 1,007.")).toBe(true);
    expect(isRight(question, " 1007 and then 8")).toBe(false);
  });

  it.each([
    ["{", /line 1: it is no JSON/],
    ["[1]", /line 1: it is no JSON object/],
    ['{"text": "x"}', /line 1: it is no question/],
    ['{"prompt": "x", "messages": [], "answer": "y"}', /one of the two/],
    ['{"prompt": " ", "answer": "y"}', /prompt must be a text/],
    ['{"messages": [{"role": "user"}], "answer": "y"}', /messages must be/],
    ['{"messages": [], "answer": "y"}', /messages must be/],
    ['{"prompt": "a"}\n{"prompt": "a", "answer": 1}', /line 2: answer must be/],
    ['{"prompt": "x", "answer": []}', /answer must be/],
    ['{"prompt": "x", "answer": "y", "match": "luck"}', /match must be one of contains/],
    ['{"prompt": "x", "answer": "y(", "match": "pattern"}', /regular expression/],
    ['{"query": "x", "choices": ["a"], "gold": 3}', /none of the 1/],
    ['{"doc_id": 1, "target": "a", "arguments": {}}', /no context/],
    ["\n\n", /has no question/],
  ])("refuses %s, and says where", (text, message) => {
    expect(() => parseTask(text, "t")).toThrow(
      expect.objectContaining({ code: "usage", message: expect.stringMatching(message) }),
    );
  });

  it("may lack answers where something else judges, and is refused where they are needed", () => {
    const task = parseTask('{"prompt": "a"}\n{"prompt": "b", "answer": ""}', "t");
    expect(task.questions.map(({ answers }) => answers)).toEqual([[], []]);
    expect(() => checkTask(task)).toThrow(/Question 1 of t has no answer/);
    expect(isRight(task.questions[0] as Question, "anything")).toBe(false);
  });

  it("says how answers are judged, where a question does not", () => {
    const of = (answer: string, choices?: string[]) => matchOf({ prompt: "x", answers: [answer], choices });
    expect([of("y"), of("/y/"), of("y", ["y", "z"])]).toEqual(["contains", "pattern", "exact"]);
    const written = (prompt: string, answer: string) => answerText({ prompt, answers: [answer] });
    expect([written("a:", "b"), written("a: ", "b"), written("a:", " b"), written("a", "")]).toEqual([" b", "b", " b", ""]);
  });

  it("falls into two halves that do not depend on the rest", () => {
    const questions = parseTask(makeTask("arithmetic", { questions: 400 }), "sums").questions;
    const tuning = questions.filter((question) => halfOf(question) === "tuning").length;
    // 400 fair coins: 200 +- 10; four standard errors.
    expect(Math.abs(tuning - 200)).toBeLessThan(40);
    expect(questions.slice(7).map(halfOf)).toEqual(questions.map(halfOf).slice(7));
  });
});

describe("an answer", () => {
  const capital = { prompt: "What is the capital of France?", answers: ["Paris", "City of Paris"], match: "contains" } as const;

  it("is told by words, not by letters", () => {
    expect(wordsOf("The Curaçao, D.C.!")).toEqual(["curacao", "dc"]);
    expect(wordsOf("Nuku'alofa's 1,234 and -5")).toEqual(["nukualofas", "1234", "and", "-5"]);
    expect(firstSentence("It is St. John's. Not so.\nNext")).toBe("It is St. John's.");
    expect(firstSentence("Washington, D.C. is it. No.")).toBe("Washington, D.C. is it.");
    expect(lastNumber("a 3 b 1,200.50 c")).toBe("1200.5");
    expect(lastNumber("none")).toBeUndefined();
  });

  it("is right where its first sentence names a right one", () => {
    for (const text of ["Paris", " The capital of France is PARIS.", "It's Paris, I think"])
      expect(isRight(capital, text)).toBe(true);
    for (const text of ["Parisian", "London. Or Paris.", "", "Lyon\nParis"]) expect(isRight(capital, text)).toBe(false);
    const washington = { prompt: "?", answers: ["Washington D.C."], match: "contains" } as const;
    expect(isRight(washington, "The capital is Washington, D.C.")).toBe(true);
    expect(isRight({ prompt: "x", answers: ["red king"], match: "exact" }, " red king\nmore")).toBe(true);
    expect(isRight({ prompt: "x", answers: ["red king"], match: "exact" }, " red king too")).toBe(false);
    expect(isRight({ prompt: "x", answers: ["king"], match: "begins" }, " king of the hill")).toBe(true);
    expect(isRight({ prompt: "x", answers: ["/^\\s*ab+$/i"], match: "pattern" }, " ABB")).toBe(true);
  });

  it("means the same as others that say it otherwise", () => {
    const same = ["Paris", "The capital of France is Paris.", "It is the City of Paris"].map((text) => meaningOf(capital, text));
    expect(new Set(same)).toEqual(new Set(["paris"]));
    expect(meaningOf(capital, "The capital of France is Lyon.")).toBe(meaningOf(capital, "Lyon"));
    expect(meaningOf(capital, "Lyon")).not.toBe(meaningOf(capital, "Nice"));
    expect(meaningOf(capital, "What is the capital of France")).not.toBe("");
    expect(meaningOf({ prompt: "x", answers: ["7"], match: "number" }, "so it is 7.0")).toBe("7");
  });

  it("is held to choices by a grammar", () => {
    expect(oneOf(['a "b"', "c\n"])).toBe('root ::= "a \\"b\\"" | "c\\n"');
  });
});

describe("made questions", () => {
  const text = Array.from({ length: 300 }, (_, i) => ["king", "and", "queen", "went", "home,"][(i * 7) % 5]).join(" ");

  it.each(["arithmetic", "spelling", "copying", "cloze"])(
    "of %s are the same for the same seed, right in themselves, and different",
    (name) => {
      const make = (seed: number) => makeTask(name, { questions: 40, seed, text });
      expect(make(1)).toBe(make(1));
      expect(make(1)).not.toBe(make(2));
      const { questions } = parseTask(make(1), name);
      expect(questions).toHaveLength(40);
      for (const question of questions) {
        const [answer = ""] = question.answers;
        const said = question.match === "pattern" ? (/[a-z]-[a-z-]*[a-z]/.exec(answer)?.[0] ?? "") : answer;
        expect(isRight(question, ` ${said}`)).toBe(true);
        expect(isRight(question, " zzz")).toBe(false);
      }
    },
  );

  it("of arithmetic are sums as anybody does them", () => {
    for (const { prompt, answers } of parseTask(makeTask("arithmetic", { questions: 60, seed: 3 }), "sums").questions) {
      const [, a, sign, b] = /(\d+) ([-+*]) (\d+) =$/.exec(prompt as string) as string[];
      const [x, y] = [Number(a), Number(b)];
      expect(Number(answers[0])).toBe(sign === "+" ? x + y : sign === "-" ? x - y : x * y);
    }
  });

  it("of countries have all that is asked of each, and the other spellings", () => {
    const country = (common: string, cca3: string, more: object) => ({
      name: { common, official: `Republic of ${common}` },
      cca3,
      unMember: true,
      currencies: { EUR: { name: "Euro" } },
      capital: ["Washington D.C."],
      altSpellings: ["XX", `Old ${common}`],
      region: "Americas",
      borders: [],
      ...more,
    });
    const data = JSON.stringify([
      country("Left", "LFT", { borders: ["RGT"] }),
      country("Right", "RGT", { borders: ["LFT"] }),
      country("Rock", "RCK", { unMember: false }),
      country("Isle", "ISL", {}),
    ]);
    const { questions } = parseTask(makeTask("countries", { text: data, chat: true }), "countries");
    expect(questions).toHaveLength(3 * 3 + 2);
    const of = (kind: string) => questions.filter((question) => question.kind === kind);
    expect(isRight(of("capital")[0] as Question, "It is Washington.")).toBe(true);
    expect(isRight(of("region")[0] as Question, "South America")).toBe(true);
    expect(isRight(of("neighbour")[0] as Question, "Old Right")).toBe(true);
    expect(isRight(of("neighbour")[0] as Question, "Left")).toBe(false);
    expect(isRight(of("currency")[0] as Question, "The euro")).toBe(true);
  });

  const data = "node_modules/world-countries/countries.json";
  if (!existsSync(data)) console.warn(`SKIPPED questions of real countries: there is no ${data}`);
  it.skipIf(!existsSync(data))("of the real countries are some for each of the 194 members", () => {
    const { questions } = parseTask(makeTask("countries", { text: readFileSync(data, "utf8") }), "countries");
    const of = (kind: string) => questions.filter((question) => question.kind === kind);
    expect(of("capital")).toHaveLength(194);
    expect(of("region")).toHaveLength(194);
    expect(of("neighbour").length).toBeGreaterThan(140);
    const france = questions.find(({ prompt }) => prompt === "Question: What is the capital of France?\nAnswer:") as Question;
    expect(isRight(france, " Paris")).toBe(true);
  });

  it("are refused by name where something is missing", () => {
    expect(() => makeTask("history")).toThrow(/not of "history"/);
    expect(() => makeTask("cloze")).toThrow(/--from/);
    expect(() => makeTask("cloze", { text: "a few words" })).toThrow(/longer/);
    expect(() => makeTask("countries", { text: "[1]" })).toThrow(/world-countries/);
    expect(() => makeTask("arithmetic", { questions: 100_000 })).toThrow(/no 100000 different/);
  });
});
