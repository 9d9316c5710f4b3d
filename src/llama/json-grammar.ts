// From a JSON schema to a grammar in llama.cpp's GBNF whose texts are JSON that fits it. What a grammar cannot say is refused by name: an answer
// that only seems to fit would be worse than none.

import { BrownianError, shown } from "../errors.js";

type Schema = Readonly<Record<string, unknown>>;

const NUMBER = '"-"? ("0" | [1-9] [0-9]{0,15})';

/** Rules that every grammar may use. */
const COMMON: Readonly<Record<string, string>> = {
  space: '| " " | "\\n" [ \\t]{0,20}',
  letter: '[^"\\\\\\x7F\\x00-\\x1F] | "\\\\" (["\\\\/bfnrt] | "u" [0-9a-fA-F]{4})',
  string: '"\\"" letter* "\\""',
  integer: NUMBER,
  number: `${NUMBER} ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?`,
  boolean: '"true" | "false"',
  null: '"null"',
  value: "object | array | string | number | boolean | null",
  object: '"{" space (string space ":" space value (space "," space string space ":" space value)*)? space "}"',
  array: '"[" space (value (space "," space value)*)? space "]"',
  date: '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])',
  time: '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})? ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
  uuid: '[0-9a-f]{8} ("-" [0-9a-f]{4}){3} "-" [0-9a-f]{12}',
};

const FORMATS: Readonly<Record<string, string>> = {
  date: '"\\"" date "\\""',
  time: '"\\"" time "\\""',
  "date-time": '"\\"" date "T" time "\\""',
  uuid: '"\\"" uuid "\\""',
};

/** What says nothing of which texts fit. */
const REMARKS = [
  "title",
  "description",
  "default",
  "examples",
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
  "deprecated",
  "strict",
];
const BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems"],
  string: ["minLength", "maxLength", "format"],
  integer: [],
  number: [],
  boolean: [],
  null: [],
};

/**
 * The grammar (GBNF) of JSON that fits a schema; without one, of any JSON object. Known are type, properties, required, additionalProperties, items,
 * prefixItems, minItems, maxItems, minLength, maxLength, format (date, time, date-time, uuid), enum, const, anyOf, oneOf, allOf of one, $ref
 * within the schema. Properties come in the order of the schema. The text may end early where it has `maxTokens`.
 * @throws BrownianError usage for a keyword that no grammar can keep to, with its place
 * @example
 * const grammar = jsonGrammar({ type: "object", properties: { name: { type: "string" } }, required: ["name"] });
 * const { text } = await model.complete("A king as JSON: ", { grammar }); // {"name": ...}
 */
export function jsonGrammar(schema: unknown = { type: "object" }): string {
  return new Grammar(schema).text();
}

class Grammar {
  private readonly rules = new Map<string, string>();
  private readonly refs = new Map<string, string>();

  constructor(private readonly schema: unknown) {}

  text(): string {
    const root = this.of(this.schema, "the schema");
    for (const name of this.rules.keys()) this.need(this.rules.get(name) as string);
    const rules = [...this.rules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, rule]) => `${name} ::= ${rule}`);
    return `root ::= ${root}\n${rules.join("\n")}\n`;
  }

  /** Takes in the common rules that an expression names. */
  private need(expression: string): void {
    const bare = expression.replace(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g, " ");
    for (const [name] of bare.matchAll(/[a-z][a-z0-9-]*/g)) {
      const rule = Object.hasOwn(COMMON, name) ? COMMON[name] : undefined;
      if (rule === undefined || this.rules.has(name)) continue;
      this.rules.set(name, rule);
      this.need(rule);
    }
  }

  /** An expression for what fits. */
  private of(schema: unknown, at: string): string {
    const expression = this.expression(schema, at);
    this.need(expression);
    return expression;
  }

  private expression(schema: unknown, at: string): string {
    if (schema === true) return "value";
    if (typeof schema !== "object" || schema === null || Array.isArray(schema))
      throw new BrownianError("usage", `${at} must be a JSON schema, an object, but is ${shown(schema)}.`);
    const { $ref, const: constant, enum: choices, anyOf, oneOf, allOf, type, ...others } = schema as Schema;
    const rest = Object.keys(others).filter((key) => !REMARKS.includes(key));
    const alone = (expression: string): string => {
      if (rest.length > 0) throw refused(rest[0] as string, at, "beside what chooses the value");
      return expression;
    };
    if ($ref !== undefined) return alone(this.ref($ref, at));
    if (constant !== undefined) return alone(literal(JSON.stringify(constant)));
    if (choices !== undefined)
      return alone(anyOfThese(list(choices, `enum of ${at}`).map((one) => literal(JSON.stringify(one)))));
    const several = anyOf ?? oneOf ?? (Array.isArray(allOf) && allOf.length === 1 ? allOf : undefined);
    if (several !== undefined)
      return alone(anyOfThese(list(several, `anyOf of ${at}`).map((one, i) => this.of(one, `${at}, choice ${i + 1}`))));
    if (allOf !== undefined) throw refused("allOf", at, "of several schemas");
    const types = type === undefined ? [typeBy(rest)] : Array.isArray(type) ? type : [type];
    const known = types.flatMap((one) => BY_TYPE[String(one)] ?? []);
    for (const key of rest) if (!known.includes(key)) throw refused(key, at, "");
    return anyOfThese(types.map((one) => this.typed(one, schema as Schema, at)));
  }

  private typed(type: unknown, schema: Schema, at: string): string {
    if (type === "object") return this.object(schema, at);
    if (type === "array") return this.array(schema, at);
    if (type === "string") return string(schema, at);
    if (type === "any") return "value";
    if (typeof type === "string" && Object.hasOwn(BY_TYPE, type)) return type;
    throw new BrownianError(
      "usage",
      `The type of ${at} must be one of ${Object.keys(BY_TYPE).join(", ")}, but is ${JSON.stringify(type)}.`,
    );
  }

  private ref(ref: unknown, at: string): string {
    const path = String(ref);
    const name = this.refs.get(path);
    if (name !== undefined) return name;
    const made = `ref-${this.refs.size + 1}`;
    this.refs.set(path, made);
    let found: unknown = path === "#" || path.startsWith("#/") ? this.schema : undefined;
    for (const part of path.split("/").slice(1)) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      found = typeof found === "object" && found !== null && Object.hasOwn(found, key) ? (found as Schema)[key] : undefined;
    }
    if (found === undefined) throw new BrownianError("usage", `${at} refers to ${path}, which the schema has not.`);
    this.rules.set(made, this.of(found, path));
    return made;
  }

  private object({ properties, required, additionalProperties }: Schema, at: string): string {
    const named = Object.entries((properties ?? {}) as Schema);
    const needed = required === undefined ? [] : list(required, `required of ${at}`, 0).map(String);
    for (const name of needed) if (!named.some(([known]) => known === name)) named.push([name, true]);
    if (named.length === 0) {
      if (additionalProperties === false) return '"{" space "}"';
      if (additionalProperties === undefined || additionalProperties === true) return "object";
      const entry = `string space ":" space ${this.of(additionalProperties, `additionalProperties of ${at}`)}`;
      return `"{" space (${entry} (space "," space ${entry})*)? space "}"`;
    }
    const entries = named.map(([name, schema]) => ({
      text: `${literal(JSON.stringify(name))} space ":" space ${this.of(schema, `${name} of ${at}`)}`,
      must: needed.includes(name),
    }));
    return `"{" space ${members(entries)} space "}"`;
  }

  private array({ items, prefixItems, minItems = 0, maxItems }: Schema, at: string): string {
    if (prefixItems !== undefined) {
      const all = list(prefixItems, `prefixItems of ${at}`).map((one, i) => this.of(one, `item ${i + 1} of ${at}`));
      if (items !== undefined && items !== false) throw refused("items", at, "beside prefixItems");
      return `"[" space ${all.join(' space "," space ')} space "]"`;
    }
    const item = items === undefined ? "value" : this.of(items, `items of ${at}`);
    const [least, most] = bounds(minItems, maxItems, at);
    if (most === 0) return '"[" space "]"';
    const more = `(space "," space ${item}){${Math.max(0, least - 1)},${most === undefined ? "" : most - 1}}`;
    return least === 0 ? `"[" space (${item} ${more})? space "]"` : `"[" space ${item} ${more} space "]"`;
  }
}

/** Entries in their order with commas between them, those that need not come left out or not. */
function members(entries: readonly { readonly text: string; readonly must: boolean }[]): string {
  const comma = 'space "," space';
  /** What may follow entry `from` - 1. */
  const after = (from: number): string =>
    entries
      .slice(from)
      .map(({ text, must }) => (must ? `${comma} ${text}` : `(${comma} ${text})?`))
      .join(" ");
  const beginnings: string[] = [];
  for (const [i, { text, must }] of entries.entries()) {
    beginnings.push(`${text} ${after(i + 1)}`.trim());
    if (must) return anyOfThese(beginnings);
  }
  return `${anyOfThese(beginnings)}?`;
}

function string({ minLength = 0, maxLength, format }: Schema, at: string): string {
  if (format !== undefined) {
    const known = Object.hasOwn(FORMATS, String(format)) ? FORMATS[String(format)] : undefined;
    if (known === undefined) throw refused(`format ${JSON.stringify(format)}`, at, "");
    return known;
  }
  const [least, most] = bounds(minLength, maxLength, at);
  return least === 0 && most === undefined ? "string" : `"\\"" letter{${least},${most ?? ""}} "\\""`;
}

function bounds(least: unknown, most: unknown, at: string): [number, number | undefined] {
  const whole = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2000;
  if (whole(least) && (most === undefined || (whole(most) && (most as number) >= (least as number))))
    return [least as number, most as number | undefined];
  throw new BrownianError("usage", `The bounds of ${at} must be whole numbers up to 2000, the upper not below the lower.`);
}

function list(value: unknown, what: string, least = 1): readonly unknown[] {
  if (Array.isArray(value) && value.length >= least) return value;
  throw new BrownianError("usage", `${what} must be a list that is not empty, but is ${JSON.stringify(value)}.`);
}

/** What a schema without a type is, by what it says. */
function typeBy(keys: readonly string[]): string {
  return Object.keys(BY_TYPE).find((type) => keys.some((key) => BY_TYPE[type]?.includes(key))) ?? "any";
}

const anyOfThese = (expressions: readonly string[]): string => `(${expressions.join(" | ")})`;

const literal = (text: string): string =>
  `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\r", "\\r").replaceAll("\t", "\\t")}"`;

function refused(key: string, at: string, why: string): BrownianError {
  return new BrownianError(
    "usage",
    `${key} of ${at} is nothing that a grammar keeps to${why === "" ? "" : ` ${why}`}: leave it out of the schema, and check the answer yourself.`,
  );
}
