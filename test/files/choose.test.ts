// Which tensors move: globs over dotted names, types that cannot, and tables that were not learned.
import { describe, expect, it } from "vitest";
import { chooseTensors, type ModelFile, type Tensor } from "../../src/files/index.js";

const tensor = (name: string, type = "Q8_0"): Tensor => ({ name, type, shape: [32], weights: 32, part: 0, offset: 0, bytes: 34 });

function model(...tensors: Tensor[]): ModelFile {
  return { path: "/models/m.gguf", container: "GGUF", size: 0, parts: [], metadata: {}, architecture: "llama", tensors };
}

const names = (tensors: readonly Tensor[]) => tensors.map((t) => t.name);
const plain = model(
  ...["token_embd.weight", "blk.0.attn_q.weight", "blk.1.attn_q.weight", "v.blk/0.w", "w(a).b"].map((n) => tensor(n)),
);

describe("chooseTensors", () => {
  it("takes all tensors when no glob is given", () => {
    expect(chooseTensors(plain)).toEqual({ chosen: plain.tensors, skipped: [] });
  });

  it.each([
    [["blk.*"], ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]],
    [["*attn_q*"], ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]],
    [["blk.{1,7}.*"], ["blk.1.attn_q.weight"]],
    [["blk.[0-4].*.weight"], ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]],
    [["!blk.*"], ["token_embd.weight", "v.blk/0.w", "w(a).b"]],
    [["v.*"], ["v.blk/0.w"]], // a slash is no wall
    [["w(a).b"], ["w(a).b"]], // a name in full means itself
    [
      ["blk.1.*", "token*", "blk.*"],
      ["token_embd.weight", "blk.0.attn_q.weight", "blk.1.attn_q.weight"],
    ], // the file's order, once each
  ])("takes %j in the file's order", (only, expected) => {
    expect(names(chooseTensors(plain, { only }).chosen)).toEqual(expected);
  });

  it.each(["blk.9.*", "", "attn_q", "BLK.*"])("refuses %j, which matches nothing, and names tensors that exist", (glob) => {
    expect(() => chooseTensors(plain, { only: ["blk.*", glob] })).toThrow(
      expect.objectContaining({
        code: "no-such-tensor",
        message: expect.stringContaining(
          `/models/m.gguf has no tensor that matches "${glob}". It has, among others, token_embd.weight, blk.0.attn_q.weight, `,
        ),
      }),
    );
  });

  it.each([
    ["blk.0.ffn_up.weight", "blk.0.ffn_up.scale"], // BitNet, NVFP4
    ["blk.0.ffn_up.weight", "blk.0.ffn_up.input_scale"],
    ["blk.0.ffn_up.weight", "blk.0.ffn_up.weight_scale"],
    ["blk.0.ffn_up.weight", "blk.0.ffn_up.weight_scale_inv"], // FP8
    ["blk.0.ffn_up.weight", "blk.0.ffn_up.scales"],
    ["blk.0.ffn_up", "blk.0.ffn_up_scale_inv"],
  ])("beside %s leaves %s alone: it is multiplied with weights, and is none", (weight, scale) => {
    const { chosen, skipped } = chooseTensors(model(tensor(weight), tensor(scale, "F32")));
    expect(names(chosen)).toEqual([weight]);
    expect(skipped).toEqual([
      { tensor: expect.objectContaining({ name: scale }), reason: expect.stringContaining("the scale of blk.0.ffn_up") },
    ]);
  });

  it("takes what is called scale and has nothing to scale: a norm", () => {
    expect(names(chooseTensors(model(tensor("blk.0.norm.scale", "F32"))).chosen)).toEqual(["blk.0.norm.scale"]);
  });

  it.each([5, null, Symbol("x"), {}, "x".repeat(70_000)])("refuses %s as a glob, by name", (glob) => {
    expect(() => chooseTensors(plain, { only: [glob as string] })).toThrow(
      expect.objectContaining({ name: "BrownianError", code: expect.stringMatching(/usage|no-such-tensor/) }),
    );
  });

  it("refuses types that cannot move, counts and names them, and says the ways out", () => {
    const mixed = model(...["a", "b", "c", "d"].map((n) => tensor(n, "IQ2_XS")), tensor("e", "type 99"), tensor("f"));
    expect(() => chooseTensors(mixed)).toThrow(
      expect.objectContaining({
        code: "unsupported-type",
        message: expect.stringMatching(
          /m\.gguf: 5 tensors of type IQ2_XS, type 99 .*\(a, b, c, \.\.\.\).*--skip-unsupported \(skipUnsupported: true\).*--only/,
        ),
      }),
    );
    // Only those that were asked for count.
    expect(names(chooseTensors(mixed, { only: ["f"] }).chosen)).toEqual(["f"]);
    const { chosen, skipped } = chooseTensors(mixed, { skipUnsupported: true });
    expect(names(chosen)).toEqual(["f"]);
    expect(skipped.map((s) => [s.tensor.name, s.reason])).toContainEqual(["e", "type 99 cannot be moved"]);
  });

  it("leaves tables and bookkeeping alone, and says so", () => {
    const kept = ["rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"].map((n) => tensor(n, "F32"));
    const numbers = ["I8", "I16", "I32", "I64", "F64"].map((type) => tensor(`n.${type}`, type));
    const { chosen, skipped } = chooseTensors(model(...kept, ...numbers, tensor("blk.0.rope_freqs_like", "F32")));
    expect(names(chosen)).toEqual(["blk.0.rope_freqs_like"]);
    expect(skipped.map((s) => s.reason)).toEqual([
      ...kept.map(() => "a table, not learned weights"),
      ...numbers.map((t) => `${t.type} numbers are no weights`),
    ]);
  });

  it("refuses an importance matrix, which has no weights, and says what it is for", () => {
    const sums = model(tensor("blk.0.attn_q.weight.in_sum2", "F32"), tensor("blk.0.attn_q.weight.counts", "F32"));
    expect(() => chooseTensors({ ...sums, metadata: { "general.type": "imatrix" } })).toThrow(
      expect.objectContaining({
        code: "no-language-model",
        message: expect.stringMatching(/is an importance matrix: give it to --imatrix/),
      }),
    );
    // As it is without its type, which older files lack: nothing in it moves.
    expect(chooseTensors(sums).chosen).toEqual([]);
  });
});
