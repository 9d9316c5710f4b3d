// What of the engine's house needs no engine: holding back incomplete characters, counting cores, and its absence.
import { afterEach, describe, expect, it, vi } from "vitest";
import { engineThreads } from "../../src/engine/threads.js";
import { TextStream } from "../../src/llama/text-stream.js";

/** A vocabulary of byte strings: token i is `pieces[i]`. Text is decoded as UTF-8, as tokenizers do. */
function vocabulary(pieces: readonly Uint8Array[]) {
  const decode = (tokens: readonly number[]) => Buffer.concat(tokens.map((token) => pieces[token]!)).toString("utf8");
  return {
    decode,
    text: (tokens: readonly number[], preceding: readonly number[]) =>
      decode([...preceding, ...tokens]).slice(decode(preceding).length),
  };
}
const bytes = vocabulary(Array.from({ length: 256 }, (_, i) => Uint8Array.of(i)));
const write = (tokens: Iterable<number>) => {
  const stream = new TextStream(bytes, []);
  const pieces = Array.from(tokens, (token) => stream.push(token));
  return [...pieces, stream.flush()];
};

describe("TextStream", () => {
  it("gives a character when its last byte is there", () => {
    expect(write(Buffer.from("aé€😀b"))).toEqual(["a", "", "é", "", "", "€", "", "", "", "😀", "b", ""]);
  });

  it("never gives a replacement that a later token completes, whatever bytes come", () => {
    const samples = [
      Buffer.from("żółw 🐢 ja"),
      Buffer.from([0x80, 0xf0, 0x9f, 0x98, 0x80]),
      Buffer.from([0xe2, 0x82, 0x41, 0xe2, 0x82, 0xac]),
    ];
    let state = 1;
    const random = () => (state = (state * 48271) % 0x7fffffff);
    // Lead and continuation bytes of all lengths, and letters, in any order.
    const alphabet = [0x41, 0x20, 0x80, 0xac, 0xc3, 0xe2, 0x82, 0xf0, 0x9f, 0x98, 0xff];
    for (let i = 0; i < 300; i++)
      samples.push(Buffer.from(Array.from({ length: 12 }, () => alphabet[random() % alphabet.length]!)));
    for (const sample of samples) {
      const all = sample.toString("utf8");
      let text = "";
      for (const piece of write(sample)) {
        text += piece;
        expect(all.startsWith(text), `${sample.toString("hex")}: ${JSON.stringify(text)} in ${JSON.stringify(all)}`).toBe(true);
      }
      expect(text).toBe(all);
    }
  });

  it("gives what is broken at the end, and a replacement that the model really wrote", () => {
    expect(write([0x41, 0xe2, 0x82])).toEqual(["A", "", "", "\u{fffd}"]);
    expect(write([...Buffer.from("\u{fffd}"), 0x41]).join("")).toBe("\u{fffd}A");
  });

  it("reads on from the prompt, with the space between words", () => {
    // As SentencePiece does: the first space of a text is left out.
    const words = ["▁once", "▁upon", "▁a", "▁time", "s"];
    const say = (tokens: readonly number[]) =>
      tokens
        .map((t) => words[t]!.replace("▁", " "))
        .join("")
        .replace(/^ /, "");
    const text = (tokens: readonly number[], preceding: readonly number[]) =>
      say([...preceding, ...tokens]).slice(say(preceding).length);
    const stream = new TextStream({ text }, [0, 1]);
    expect([2, 3, 4].map((token) => stream.push(token))).toEqual([" a", " time", "s"]);
    expect(new TextStream({ text }, []).push(0)).toBe("once");
  });
});

describe("engineThreads", () => {
  const files = (contents: Record<string, string>) => (path: string) => {
    const text = Object.entries(contents).find(([name]) => path.endsWith(name))?.[1];
    if (text === undefined) throw new Error(`no ${path}`);
    return text;
  };
  const none = files({});

  it("is one less than the physical cores that the process may use, and at least one", () => {
    expect(engineThreads(8, 16, none)).toBe(7);
    expect(engineThreads(8, 4, none)).toBe(3);
    for (const cores of [0, 1, 2]) expect(engineThreads(cores, 16, none)).toBe(1);
  });

  it("obeys the CPU quota of a container, of both versions of control groups", () => {
    expect(engineThreads(8, 8, files({ "cpu.max": "400000 100000\n" }))).toBe(3);
    expect(engineThreads(8, 8, files({ "cpu.max": "50000 100000\n" }))).toBe(1);
    expect(engineThreads(8, 8, files({ "cpu.max": "max 100000\n" }))).toBe(7);
    expect(engineThreads(8, 8, files({ "cpu.cfs_quota_us": "350000\n", "cpu.cfs_period_us": "100000\n" }))).toBe(2);
    expect(engineThreads(8, 8, files({ "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n" }))).toBe(7);
  });
});

describe("without the engine", () => {
  afterEach(() => {
    vi.doUnmock("node-llama-cpp");
    vi.resetModules();
  });

  it("says what to install, and leaves no live copy", async () => {
    vi.doMock("node-llama-cpp", () => {
      throw new Error("Cannot find package 'node-llama-cpp'");
    });
    vi.resetModules();
    const { loadModel } = await import("../../src/llama/index.js");
    await expect(loadModel("models/fairytales-3M-Q4_0.gguf", { engine: "node-llama-cpp" })).rejects.toMatchObject({
      code: "engine-missing",
      message: expect.stringMatching(/npm install .*node-llama-cpp@/),
    });
  });
});
