// Philox4x32-10 and what is made of it: words, uniforms, normals. Written once over the vectors `U` (uint32) and `F` (float) of the
// including target; N lanes hold N blocks, word by word. Formulas, sources and the order of operations: src/kernels/js/philox.ts, normal.ts.

struct Words {
  U x0, x1, x2, x3;
};

/// Which block each lane holds, so that transposing within 128-bit groups leaves blocks in their order.
inline U lane_blocks() {
  uint32_t offsets[N];
  constexpr int groups = N < 4 ? 1 : N / 4;
  for (int lane = 0; lane < N; lane++) offsets[lane] = N < 4 ? lane : (lane % 4) * groups + lane / 4;
  return load(offsets);
}

/// Lane l holds l * stride.
inline U lanes_apart(uint32_t stride) {
  uint32_t offsets[N];
  for (uint32_t lane = 0; lane < N; lane++) offsets[lane] = lane * stride;
  return load(offsets);
}

struct Philox {
  Philox(Key key, uint32_t tick, uint32_t purpose) : tick(tick), purpose(purpose) {
    for (uint32_t r = 0; r < 10; r++) {
      keys[2 * r] = key.k0 + r * 0x9e3779b9u;
      keys[2 * r + 1] = key.k1 + r * 0xbb67ae85u;
    }
    in_memory(keys);
  }

  /// N blocks from `block` on, in the order of lane_blocks().
  inline Words operator()(uint64_t block) const { return (*this)(block, lane_blocks()); }

  /// The blocks `block` + offsets, lane by lane.
  inline Words operator()(uint64_t block, U offsets) const {
    Words words[1];
    rounds<1>(&block, &offsets, words);
    return words[0];
  }

  /// N blocks from `block` on, and N after them: one chain of multiplications does not keep a processor busy.
  inline void twice(uint64_t block, Words& first, Words& second) const {
    const uint64_t blocks[] = {block, block + N};
    const U offsets[] = {lane_blocks(), lane_blocks()};
    Words words[2];
    rounds<2>(blocks, offsets, words);
    first = words[0];
    second = words[1];
  }

  /// The blocks `block` + offsets[0, 2 N), lane by lane.
  inline void twice(uint64_t block, const uint32_t* offsets, Words& first, Words& second) const {
    const uint64_t blocks[] = {block, block};
    const U lanes[] = {load(offsets), load(offsets + N)};
    Words words[2];
    rounds<2>(blocks, lanes, words);
    first = words[0];
    second = words[1];
  }

 private:
  uint32_t keys[20];
  uint32_t tick, purpose;

  template <int kChains>
  inline void rounds(const uint64_t* blocks, const U* offsets, Words* out) const {
    W x0[kChains], x1[kChains], x2[kChains], x3[kChains];
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) {
      const U lo0 = set1(uint32_t(blocks[c])), first = add(lo0, offsets[c]);
      x0[c] = apart(first);
      x1[c] = apart(add_carry(set1(uint32_t(blocks[c] >> 32)), first, lo0));
      x2[c] = apart(set1(tick));
      x3[c] = apart(set1(purpose));
    }
#pragma GCC unroll 10
    for (int r = 0; r < 10; r++) {
#pragma GCC unroll 2
      for (int c = 0; c < kChains; c++) {
        W hi0, lo0r, hi1, lo1r;
        mul_wide(x0[c], 0xd2511f53u, hi0, lo0r);
        mul_wide(x2[c], 0xcd9e8d57u, hi1, lo1r);
        x0[c] = xor3(hi1, x1[c], keys[2 * r]);
        x1[c] = lo1r;
        x2[c] = xor3(hi0, x3[c], keys[2 * r + 1]);
        x3[c] = lo0r;
      }
    }
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) out[c] = {together(x0[c]), together(x1[c]), together(x2[c]), together(x3[c])};
  }
};

/// -z and z are equally likely; |z| <= 6.66.
inline void box_muller(U w0, U w1, F& z0, F& z1) {
  const F half_up = add(from_int(shr<1>(w0)), set1f(0.5f));
  const U bits = as_uint(half_up);
  const U exponent = sar<23>(sub(bits, set1(0x3f3504f3u)));
  const F x = sub(as_float(sub(bits, shl<23>(exponent))), set1f(1.0f));
  F p = add(mul(set1f(0.08734844624996185f), x), set1f(-0.14307522773742676f));
  p = add(mul(p, x), set1f(0.14917972683906555f));
  p = add(mul(p, x), set1f(-0.16570508480072021f));
  p = add(mul(p, x), set1f(0.19962072372436523f));
  p = add(mul(p, x), set1f(-0.25001755356788635f));
  p = add(mul(p, x), set1f(0.33333951234817505f));
  p = add(mul(p, x), set1f(-0.49999991059303284f));
  const F ln = add(add(mul(mul(x, x), p), x), mul(from_int(sub(exponent, set1(31))), set1f(0.6931471805599453f)));
  const F r = root(mul(set1f(-2.0f), ln));

  const U rest = sar<2>(shl<2>(w1));
  const U quadrant = shr<30>(sub(w1, rest));
  const F y = mul(from_int(rest), set1f(9.31322574615478515625e-10f));
  const F yy = mul(y, y);
  F s = add(mul(set1f(-0.004602177068591118f), yy), set1f(0.07968022674322128f));
  s = add(mul(s, yy), set1f(-0.6459634900093079f));
  s = mul(add(mul(s, yy), set1f(1.5707963705062866f)), y);
  F c = add(mul(set1f(0.0009036316769197583f), yy), set1f(-0.02086007222533226f));
  c = add(mul(c, yy), set1f(0.25366920232772827f));
  c = add(mul(c, yy), set1f(-1.2337005138397217f));
  c = add(mul(c, yy), set1f(1.0f));

  const U odd = sub(set1(0), band(quadrant, set1(1)));  // all ones where the quadrant is odd
  const U sine = as_uint(s), cosine = as_uint(c);
  const U swap = band(bxor(sine, cosine), odd);
  const U sign0 = shl<30>(band(add(quadrant, set1(1)), set1(2)));
  const U sign1 = shl<30>(band(quadrant, set1(2)));
  z0 = as_float(bxor(as_uint(mul(r, as_float(bxor(cosine, swap)))), sign0));
  z1 = as_float(bxor(as_uint(mul(r, as_float(bxor(sine, swap)))), sign1));
}

inline void store_words(uint32_t* out, const Words& w) { store_blocks(out, w.x0, w.x1, w.x2, w.x3); }

struct AsBits {
  using Out = uint32_t;
  static inline void put(uint32_t* out, const Words& w) { store_words(out, w); }
};
struct AsUniform {
  using Out = float;
  static inline U one(U w) { return as_uint(mul(from_int(shr<8>(w)), set1f(5.9604644775390625e-8f))); }
  static inline void put(float* out, const Words& w) {
    store_blocks(reinterpret_cast<uint32_t*>(out), one(w.x0), one(w.x1), one(w.x2), one(w.x3));
  }
};
struct AsNormal {
  using Out = float;
  static inline void put(float* out, const Words& w) {
    F a, b, c, d;
    box_muller(w.x0, w.x1, a, b);
    box_muller(w.x2, w.x3, c, d);
    store_blocks(reinterpret_cast<uint32_t*>(out), as_uint(a), as_uint(b), as_uint(c), as_uint(d));
  }
};

/// Fills out[0, n) with elements 4 * block + skip, ... of the stream, as `As` makes them of words.
template <class As>
inline void fill(typename As::Out* out, size_t n, Key key, Position at) {
  const Philox philox(key, at.tick, at.purpose);
  uint64_t block = at.block;
  typename As::Out edge[4 * N];
  if (at.skip != 0 && n > 0) {
    As::put(edge, philox(block));
    const size_t head = n < 4u * N - at.skip ? n : 4u * N - at.skip;
    memcpy(out, edge + at.skip, head * sizeof(*out));
    out += head;
    n -= head;
    block += N;
  }
  if (n == 0) return;
  for (; n >= 8 * N; n -= 8 * N, out += 8 * N, block += 2 * N) {
    Words first, second;
    philox.twice(block, first, second);
    As::put(out, first);
    As::put(out + 4 * N, second);
  }
  for (; n >= 4 * N; n -= 4 * N, out += 4 * N, block += N) As::put(out, philox(block));
  if (n == 0) return;
  As::put(edge, philox(block));
  memcpy(out, edge, n * sizeof(*out));
}

inline void bits(uint32_t* out, size_t n, Key key, Position at) { fill<AsBits>(out, n, key, at); }
inline void uniform(float* out, size_t n, Key key, Position at) { fill<AsUniform>(out, n, key, at); }
inline void normal(float* out, size_t n, Key key, Position at) { fill<AsNormal>(out, n, key, at); }
