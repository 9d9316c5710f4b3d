// Philox4x32-10 and what is made of it: words, uniforms, normals. Written once over the vectors `U` (uint32) and `F` (float) of the
// including target; N lanes hold N blocks, word by word. Formulas, sources and the order of operations: src/laws/philox.ts, normal.ts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "format.h"

namespace brownian::BROWNIAN_TARGET {

struct Words {
  U x0, x1, x2, x3;
};

inline F load_f(const float* p) { return as_float(load(reinterpret_cast<const uint32_t*>(p))); }

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

/// What is to be done between rounds: nothing.
struct Nothing {
  BROWNIAN_INLINE void operator()(int) const {}
};

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
    const U lo0 = set1(uint32_t(block)), first[] = {add(lo0, offsets)};
    const U upper = add_carry(set1(uint32_t(block >> 32)), first[0], lo0);
    Words words[1];
    Nothing nothing;
    rounds<1>(first, upper, set1(tick), set1(purpose), [this](int i) { return set1(keys[i]); }, words, nothing);
    return words[0];
  }

  /// The blocks `block` + offsets[0, 2 N), lane by lane, side by side: one chain of multiplications does not keep a processor busy.
  inline void twice(uint64_t block, const uint32_t* offsets, Words& first, Words& second) const {
    const U lo0 = set1(uint32_t(block)), x0[] = {add(lo0, load(offsets)), add(lo0, load(offsets + N))};
    if (uint32_t(block) > ~uint32_t(0) - kFar) {  // some may have another upper word
      first = (*this)(block, load(offsets));
      second = (*this)(block, load(offsets + N));
      return;
    }
    Words words[2];
    Nothing nothing;
    rounds<2>(x0, set1(uint32_t(block >> 32)), set1(tick), set1(purpose), [this](int i) { return set1(keys[i]); }, words, nothing);
    first = words[0];
    second = words[1];
  }
  /// What no offset of `twice` reaches.
  static constexpr uint32_t kFar = 1 << 16;

  uint32_t keys[20];
  uint32_t tick, purpose;

  /// Blocks whose words before the first round are x0[c] (a vector of each chain), x1, x2, x3. `between` is called after each round.
  template <int kChains, class Keys, class Between>
  static BROWNIAN_INLINE void rounds(const U* first, U upper, U tick, U purpose, Keys keys, Words* out, Between& between) {
    W x0[kChains], x1[kChains], x2[kChains], x3[kChains];
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) {
      x0[c] = apart(first[c]);
      x1[c] = apart(upper);
      x2[c] = apart(tick);
      x3[c] = apart(purpose);
    }
#pragma GCC unroll 10
    for (int r = 0; r < 10; r++) {
#pragma GCC unroll 2
      for (int c = 0; c < kChains; c++) {
        W hi0, lo0, hi1, lo1;
        mul_wide(x0[c], 0xd2511f53u, hi0, lo0);
        mul_wide(x2[c], 0xcd9e8d57u, hi1, lo1);
        x0[c] = xor3(hi1, x1[c], keys(2 * r));
        x1[c] = lo1;
        x2[c] = xor3(hi0, x3[c], keys(2 * r + 1));
        x3[c] = lo0;
      }
      between(r);
    }
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) out[c] = {together(x0[c]), together(x1[c]), together(x2[c]), together(x3[c])};
  }
};

/// Blocks that share their upper word, one vector after the other. What they have in common is worked out once: with three words of four
/// the same, half of the first two rounds.
struct Run {
  BROWNIAN_INLINE Run(const Philox& philox, uint64_t block)
      : blocks(add(set1(uint32_t(block)), lane_blocks())),
        upper(set1(uint32_t(block >> 32))),
        tick(set1(philox.tick)),
        purpose(set1(philox.purpose)) {
#pragma GCC unroll 20
    for (int i = 0; i < 20; i++) {
      keys[i] = set1(philox.keys[i]);
      here(keys[i]);
    }
  }

  /// The next N blocks, kChains times: one chain of multiplications does not keep a processor busy. Nor do two, but registers are few.
  template <int kChains, class Between>
  BROWNIAN_INLINE void next(Words* out, Between& between) {
    U first[kChains];
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) {
      first[c] = blocks;
      blocks = add(blocks, set1(N));
    }
    Philox::rounds<kChains>(first, upper, tick, purpose, [this](int i) { return keys[i]; }, out, between);
  }

  U blocks, upper, tick, purpose;
  U keys[20];
};

#if defined(__GNUC__)
#define BROWNIAN_EACH _Pragma("GCC unroll 2") for (int i = 0; i < kVectors; i++)
#else
#define BROWNIAN_EACH for (int i = 0; i < kVectors; i++)
#endif
/// kVectors vectors of pairs of normals from the words of N blocks, in ten stages. A stage takes a dozen instructions that do not wait for each
/// other, and a processor looks only some sixty instructions ahead: stages stand between the rounds that make the next words (`fill`),
/// and no compiler may move a step to where its result is used (`here`).
///
/// -z and z are equally likely; |z| <= 6.66.
template <int kVectors>
struct BoxMuller {
  BROWNIAN_INLINE BoxMuller(const U (&first)[kVectors], const U (&second)[kVectors]) {
    BROWNIAN_EACH {
      w0[i] = first[i];
      w1[i] = second[i];
    }
  }

  BROWNIAN_INLINE void operator()(int stage) {
    switch (stage) {
      case 0:
        BROWNIAN_EACH {
          const U t = sub(as_uint(add(from_int(shr<1>(w0[i])), set1f(0.5f))), set1(0x3f3504f3u + (31u << 23)));
          x[i] = sub(as_float(add(band(t, set1(0x007fffff)), set1(0x3f3504f3))), set1f(1.0f));
          powers[i] = mul(from_int(sar<23>(t)), set1f(0.6931471805599453f));
        }
        BROWNIAN_EACH { y[i] = mul(from_int(shl<2>(w1[i])), set1f(2.3283064365386962890625e-10f)); }
        break;
      case 1:
        start(p, x, 0.08734844624996185f, -0.14307522773742676f);
        BROWNIAN_EACH { yy[i] = mul(y[i], y[i]); }
        break;
      case 2:
        step(p, x, 0.14917972683906555f);
        start(sine, yy, -0.004602177068591118f, 0.07968022674322128f);
        break;
      case 3:
        step(p, x, -0.16570508480072021f);
        start(cosine, yy, 0.0009036316769197583f, -0.02086007222533226f);
        step(sine, yy, -0.6459634900093079f);
        break;
      case 4:
        step(p, x, 0.19962072372436523f);
        step(cosine, yy, 0.25366920232772827f);
        step(sine, yy, 1.5707963705062866f);
        break;
      case 5:
        step(p, x, -0.25001755356788635f);
        BROWNIAN_EACH { sine[i] = mul(sine[i], y[i]); }
        step(cosine, yy, -1.2337005138397217f);
        break;
      case 6:
        step(p, x, 0.33333951234817505f);
        step(cosine, yy, 1.0f);
        BROWNIAN_EACH { quadrant[i] = add(w1[i], set1(0x20000000)); }
        break;
      case 7:
        step(p, x, -0.49999991059303284f);
        // A quarter of a turn, where the quadrant is odd: (cos, sin) becomes (-sin, cos).
        BROWNIAN_EACH {
          const Mask odd = has_bit<30>(quadrant[i]);
          const F s = sine[i], c = cosine[i];
          cosine[i] = choose(odd, turned(s, set1(0x80000000)), c);
          sine[i] = choose(odd, c, s);
        }
        break;
      case 8:
        BROWNIAN_EACH {
          const F ln = add(add(mul(mul(x[i], x[i]), p[i]), x[i]), powers[i]);
          r[i] = root(mul(set1f(-2.0f), ln));
        }
        break;
      default:
        // Half a turn, where the quadrant is 2 or 3.
        BROWNIAN_EACH {
          const F radius = turned(r[i], quadrant[i]);
          z0[i] = mul(radius, cosine[i]);
          z1[i] = mul(radius, sine[i]);
        }
    }
  }

  F z0[kVectors], z1[kVectors];

 private:
  /// A polynomial's first two coefficients, and the next one.
  BROWNIAN_INLINE void start(F* sum, const F* of, float highest, float next) {
    BROWNIAN_EACH {
      sum[i] = add(mul(set1f(highest), of[i]), set1f(next));
      here(sum[i]);
    }
  }
  BROWNIAN_INLINE void step(F* sum, const F* of, float next) {
    BROWNIAN_EACH {
      sum[i] = add(mul(sum[i], of[i]), set1f(next));
      here(sum[i]);
    }
  }

  U w0[kVectors], w1[kVectors], quadrant[kVectors];
  F x[kVectors], powers[kVectors], p[kVectors], r[kVectors], y[kVectors], yy[kVectors], sine[kVectors], cosine[kVectors];
};
#undef BROWNIAN_EACH

inline void store_words(uint32_t* out, const Words& w) { store_blocks(out, w.x0, w.x1, w.x2, w.x3); }

struct AsBits {
  using Out = uint32_t;
  static inline void put(uint32_t* out, const Words& w) { store_words(out, w); }
};
struct AsUniform {
  using Out = float;
  static inline U one(U w) { return as_uint(mul(from_int(shr<8>(w)), set1f(5.9604644775390625e-8f))); }
  static inline void put(float* out, const Words& w) { store_blocks(reinterpret_cast<uint32_t*>(out), one(w.x0), one(w.x1), one(w.x2), one(w.x3)); }
};
struct AsNormal {
  using Out = float;
  using Pairs = BoxMuller<2>;
  static BROWNIAN_INLINE Pairs of(const Words& w) { return Pairs({w.x0, w.x2}, {w.x1, w.x3}); }
  static BROWNIAN_INLINE void store(float* out, const Pairs& pairs) {
    store_blocks(reinterpret_cast<uint32_t*>(out), as_uint(pairs.z0[0]), as_uint(pairs.z1[0]), as_uint(pairs.z0[1]), as_uint(pairs.z1[1]));
  }
  static inline void put(float* out, const Words& w) {
    Pairs pairs = of(w);
#pragma GCC unroll 10
    for (int stage = 0; stage < 10; stage++) pairs(stage);
    store(out, pairs);
  }
};

#if !BROWNIAN_VECTORS
/// Pair by pair in a loop, which compilers make vectors of where the processor has some.
inline void normals_from(float* out, const uint32_t* words, size_t pairs) {
  for (size_t i = 0; i < pairs; i++) {
    BoxMuller<1> pair({words[2 * i]}, {words[2 * i + 1]});
#pragma GCC unroll 10
    for (int stage = 0; stage < 10; stage++) pair(stage);
    out[2 * i] = pair.z0[0].x;
    out[2 * i + 1] = pair.z1[0].x;
  }
}
#endif

/// `passes` vectors of blocks, which share their upper word.
template <class As>
inline void fill_run(typename As::Out* out, size_t passes, const Philox& philox, uint64_t block) {
  if constexpr (std::is_same<As, AsNormal>::value) {
#if BROWNIAN_VECTORS
    Run run(philox, block);
    Words words[1];
    Nothing nothing;
    run.next<1>(words, nothing);
    for (; passes > 0; passes--, out += 4 * N) {
      AsNormal::Pairs pairs = AsNormal::of(words[0]);
      run.next<1>(words, pairs);
      AsNormal::store(out, pairs);
    }
#else
    constexpr size_t kMost = 64;
    uint32_t words[4 * kMost];
    for (size_t taken; passes > 0; passes -= taken, out += 4 * taken, block += taken) {
      taken = passes < kMost ? passes : kMost;
      fill_run<AsBits>(words, taken, philox, block);
      normals_from(out, words, 2 * taken);
    }
#endif
  } else {
    Run run(philox, block);
    Words words[2];
    Nothing nothing;
    for (; passes >= 2; passes -= 2, out += 8 * N, block += 2 * N) {
      run.next<2>(words, nothing);
      As::put(out, words[0]);
      As::put(out + 4 * N, words[1]);
    }
    if (passes > 0) As::put(out, philox(block));
  }
}

/// Fills out[0, n) with elements 4 * block + skip, ... of the stream, as `As` makes them of words.
template <class As>
inline void fill(typename As::Out* out, size_t n, Key key, Position at) {
  const Philox philox(key, at.tick, at.purpose);
  uint64_t block = at.block;
  size_t skip = at.skip;
  while (n > 0) {
    const uint64_t before_wrap = (0x100000000u - uint32_t(block)) / N;
    const size_t whole = skip > 0 ? 0 : n / (4 * N), passes = before_wrap < whole ? size_t(before_wrap) : whole;
    if (passes > 0) {
      fill_run<As>(out, passes, philox, block);
      out += passes * 4 * N;
      n -= passes * 4 * N;
      block += uint64_t(passes) * N;
      continue;
    }
    // What is left, begins within a block, or has two upper words.
    typename As::Out edge[4 * N];
    As::put(edge, philox(block));
    const size_t taken = n < 4u * N - skip ? n : 4u * N - skip;
    memcpy(out, edge + skip, taken * sizeof(*out));
    out += taken;
    n -= taken;
    block += N;
    skip = 0;
  }
}

inline void bits(uint32_t* out, size_t n, Key key, Position at) { fill<AsBits>(out, n, key, at); }
inline void uniform(float* out, size_t n, Key key, Position at) { fill<AsUniform>(out, n, key, at); }
inline void normal(float* out, size_t n, Key key, Position at) { fill<AsNormal>(out, n, key, at); }

}  // namespace brownian::BROWNIAN_TARGET
