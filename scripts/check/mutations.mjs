// Mutated headers of GGUF files, for trials: what a download, a disk or an enemy makes of them. Each is made from a number alone.

/** Small random numbers that come again: xorshift32. */
export function dice(seed) {
  let state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 1) >>> 0;
  const word = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state;
  };
  for (let i = 0; i < 8; i++) word();
  const below = (n) => Math.floor((word() / 2 ** 32) * n);
  return { below, pick: (list) => list[below(list.length)] };
}

const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const [TEXT, LIST, U32] = [8, 9, 4];

/** Where the fields of a header lie: lengths, counts, kinds, shapes, offsets; and where keys, tensors and the header end. */
export function fieldsOf(bytes) {
  const fields = [{ at: 4, size: 4 }];
  let at = 8;
  const long = () => {
    fields.push({ at, size: 8 });
    at += 8;
    return Number(bytes.readBigUInt64LE(at - 8));
  };
  const word = () => {
    fields.push({ at, size: 4 });
    at += 4;
    return bytes.readUInt32LE(at - 4);
  };
  const text = () => {
    const length = long();
    at += length;
  };
  const value = (kind) => {
    if (kind === TEXT) text();
    else if (kind === LIST) {
      const inner = word();
      const count = long();
      if (inner === TEXT || inner === LIST) for (let i = 0; i < count; i++) value(inner);
      else at += count * SIZES[inner];
    } else at += SIZES[kind];
  };
  const [tensors, keys] = [long(), long()];
  const keyAt = [];
  for (let i = 0; i < keys; i++) {
    keyAt.push(at);
    text();
    value(word());
  }
  const directory = at;
  for (let i = 0; i < tensors; i++) {
    text();
    const dimensions = word();
    for (let d = 0; d < dimensions; d++) long();
    word();
    long();
  }
  return { fields, keyAt, directory, end: at };
}

const u32 = (n) => Buffer.from(Uint32Array.of(n).buffer);
const u64 = (n) => Buffer.from(BigUint64Array.of(BigInt(n)).buffer);
const text = (string) => Buffer.concat([u64(Buffer.byteLength(string)), Buffer.from(string)]);
const key = (name, kind, value) => Buffer.concat([text(name), u32(kind), value]);

const EXTREMES = [0n, 1n, 2n, 255n, 2n ** 16n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 40n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
const NAMES = [
  "",
  "a\nb",
  "\x1b[31mred",
  "../../x",
  "nul\0name",
  "__proto__",
  "constructor",
  "*",
  "[",
  "then",
  "é漢",
  "x".repeat(70_000),
];
const KEYS = [
  ...["general.alignment", "general.architecture", "general.type", "split.count", "split.no", "split.tensors.count"],
  ...["llama.context_length", "tokenizer.ggml.tokens", "tokenizer.chat_template", "llama.pooling_type"],
];

/** A list in a list in a list; unclosed ones have no end. */
function nested(depth) {
  const one = Buffer.concat([u32(LIST), u64(1)]);
  return Buffer.concat([...Array(depth).fill(one), u32(0), u64(1), Buffer.of(7)]);
}

const KINDS = {
  bits(header, _, { below }) {
    for (let n = 1 + below(16); n > 0; n--) header[below(header.length)] ^= 1 << below(8);
    return header;
  },
  beginning(header, _, { below }) {
    for (let n = 1 + below(4); n > 0; n--) header[below(64)] ^= 1 << below(8);
    return header;
  },
  directory(header, { directory }, { below }) {
    for (let n = 1 + below(8); n > 0; n--) header[directory + below(header.length - directory)] ^= 1 << below(8);
    return header;
  },
  field(header, { fields }, { below, pick }) {
    for (let n = 1 + below(2); n > 0; n--) {
      const { at, size } = pick(fields);
      u64(pick(EXTREMES)).copy(header, at, 0, size);
    }
    return header;
  },
  cut: (header, _, { below }) => header.subarray(0, below(header.length)),
  splice(header, _, { below, pick }) {
    const at = below(header.length);
    const more = Buffer.from(Uint8Array.from({ length: below(64) }, () => below(256)));
    return Buffer.concat([header.subarray(0, at), more, header.subarray(at + pick([0, more.length, below(64)]))]);
  },
  keys(header, { keyAt }, { below, pick }) {
    const at = pick(keyAt);
    const value = pick([
      () => [U32, u32(pick([0, 1, 3, 8, 64, 2 ** 20, 2 ** 31, 2 ** 32 - 1]))],
      () => [10, u64(pick(EXTREMES))],
      () => [12, Buffer.from(Float64Array.of(pick([Number.NaN, Number.POSITIVE_INFINITY, 0.5, -1, 1e308])).buffer)],
      () => [TEXT, text(pick(NAMES))],
      () => [LIST, Buffer.concat([u32(TEXT), u64(2), text("a"), text(pick(NAMES))])],
      () => [LIST, Buffer.concat([u32(pick([0, 4, 6, 8, 9, 13, 99])), u64(pick(EXTREMES))])],
      () => [LIST, nested(below(2000))],
    ])();
    const made = key(below(2) === 0 ? pick(KEYS) : pick(NAMES), ...value);
    const all = Buffer.concat([header.subarray(0, at), made, header.subarray(at)]);
    all.writeBigUInt64LE(all.readBigUInt64LE(16) + 1n, 16);
    return all;
  },
};

/** The header of number `seed`: of `whole`, with its fields, the bytes before the data. */
export function mutated(whole, fields, seed) {
  const random = dice(seed);
  const names = Object.keys(KINDS);
  const kind = names[seed % names.length];
  return { kind, header: KINDS[kind](Buffer.from(whole), fields, random) };
}

const KEYLESS = (keys, tensors = []) =>
  Buffer.concat([Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(keys.length), ...keys, ...tensors]);
const ARCHITECTURE = key("general.architecture", TEXT, text("llama"));

/** Large headers, each of some MB, by name. */
export const LARGE = {
  "a nested list of 39 MB": () => {
    const inner = Buffer.concat([u32(0), u64(1), Buffer.of(1)]);
    const count = Math.floor(39e6 / inner.length);
    return KEYLESS([ARCHITECTURE, key("x", LIST, Buffer.concat([u32(LIST), u64(count), ...Array(count).fill(inner)]))]);
  },
  "a list in a list, a million deep": () => KEYLESS([ARCHITECTURE, key("x", LIST, nested(1e6))]),
  "a vocabulary of 262,144 tokens": () => {
    const tokens = Array.from({ length: 262_144 }, (_, i) => text(`token${i}`));
    return KEYLESS([ARCHITECTURE, key("tokenizer.ggml.tokens", LIST, Buffer.concat([u32(TEXT), u64(tokens.length), ...tokens]))]);
  },
  "a text of 64 MB": () => KEYLESS([ARCHITECTURE, key("x", TEXT, text("a".repeat(64e6)))]),
  "30,000 tensors": () => {
    const one = (i) => Buffer.concat([text(`blk.${i}.w`), u32(1), u64(32), u32(0), u64(128 * i)]);
    return KEYLESS(
      [ARCHITECTURE],
      Array.from({ length: 30_000 }, (_, i) => one(i)),
    );
  },
  "a tensor called by 64,000 letters": () =>
    KEYLESS([ARCHITECTURE], [Buffer.concat([text("*".repeat(64_000)), u32(1), u64(32), u32(0), u64(0)])]),
  "100,000 keys": () => KEYLESS(Array.from({ length: 100_000 }, (_, i) => key(`key.${i}`, U32, u32(i)))),
};
