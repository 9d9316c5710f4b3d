// Grammars of JSON schemas: what a model writes by them parses and fits; what they cannot say is refused by name.
import { afterAll, beforeAll, expect, it } from "vitest";
import { jsonGrammar, loadModel, type Model } from "../../src/llama/index.js";
import { scratchFolder } from "../support/synthetic-gguf.js";

let model: Model;
const scratch = scratchFolder();
beforeAll(async () => {
  model = await loadModel("models/fairytales-3M-Q8_0.gguf", { threads: 1, scratch });
});
afterAll(() => model.dispose());

type Fits = (value: never) => boolean;
const list = (value: unknown, least: number, most: number) =>
  Array.isArray(value) && value.length >= least && value.length <= most;
const keys = (value: object) => Object.keys(value).join();

/** Schemas whose texts cannot be long, and what fits them. */
const CASES: readonly (readonly [name: string, schema: unknown, fits: Fits])[] = [
  ["an enum of all kinds", { enum: ['a\n"b\\', 7, null, { x: [] }] }, () => true],
  ["a constant", { const: { king: true } }, (value: object) => keys(value) === "king"],
  ["several types", { type: ["boolean", "null"] }, (value: unknown) => value === null || typeof value === "boolean"],
  ["a bounded text", { type: "string", minLength: 2, maxLength: 4 }, (value: string) => value.length >= 2 && value.length <= 4],
  [
    "a bounded list",
    { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 },
    (value: unknown) => list(value, 2, 3),
  ],
  ["an empty list", { type: "array", maxItems: 0 }, (value: unknown) => list(value, 0, 0)],
  [
    "a tuple",
    { type: "array", prefixItems: [{ const: 1 }, { type: "boolean" }], items: false },
    (value: unknown) => list(value, 2, 2),
  ],
  ["an object without properties", { type: "object", additionalProperties: false }, (value: object) => keys(value) === ""],
  [
    "properties that need not come",
    { properties: { a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, required: ["b"] },
    (value: object) => ["b", "a,b", "b,c", "a,b,c"].includes(keys(value)),
  ],
  [
    "nothing that must come",
    { type: "object", properties: { a: { const: 1 }, b: { const: 2 } } },
    (value: object) => ["", "a", "b", "a,b"].includes(keys(value)),
  ],
  ["a choice", { anyOf: [{ const: "x" }, { type: "boolean" }] }, (value: unknown) => value === "x" || typeof value === "boolean"],
  ["a date", { type: "string", format: "date" }, (value: string) => /^\d{4}-\d\d-\d\d$/.test(value)],
  ["a moment", { type: "string", format: "date-time" }, (value: string) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(value)],
  ["a uuid", { type: "string", format: "uuid" }, (value: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value)],
  [
    "what refers to itself",
    { $ref: "#/$defs/tree", $defs: { tree: { type: "array", items: { $ref: "#/$defs/tree" }, maxItems: 1 } } },
    (value: unknown) => list(value, 0, 1),
  ],
];

it.each(CASES)("%s", async (_, schema, fits) => {
  const grammar = jsonGrammar(schema);
  let whole = 0;
  for (let seed = 0n; seed < 6n; seed++) {
    const { text, stop } = await model.complete("As JSON: ", { grammar, temperature: 1.5, seed, maxTokens: 120 });
    if (stop !== "eos") continue; // spaces and nesting may go on
    whole++;
    expect(fits(JSON.parse(text) as never), text).toBe(true);
  }
  expect(whole).toBeGreaterThan(0);
});

it("any object, where there is no schema", async () => {
  const { text } = await model.complete("As JSON: ", { grammar: jsonGrammar(), maxTokens: 10 });
  expect(text).toMatch(/^\{/);
});

it.each([
  [{ type: "string", pattern: "a" }, /pattern of the schema is nothing that a grammar keeps to/],
  [{ type: "integer", minimum: 3 }, /minimum of the schema/],
  [{ properties: { a: { type: "string", format: "email" } } }, /format "email" of a of the schema/],
  [{ allOf: [{}, {}] }, /allOf/],
  [{ type: "king" }, /must be one of object, array/],
  [{ $ref: "#/$defs/x" }, /refers to #\/\$defs\/x, which the schema has not/],
  [{ $ref: "https://example.org/x" }, /which the schema has not/],
  [{ enum: [] }, /not empty/],
  [{ type: "array", minItems: 3, maxItems: 1 }, /upper not below the lower/],
  [7, /must be a JSON schema/],
])("%j is refused by name", (schema, message) => {
  expect(() => jsonGrammar(schema)).toThrow(message);
});
