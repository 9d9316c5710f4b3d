// The laws of moves: what a weight of noise s steps draws. The counterpart of src/laws/moves.ts, which holds the formulas.
// Moves of a tile are drawn into an int8 a weight; no rail is farther than 127 steps, so larger ones are cut there.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "draws.inl.h"
#include "float_bits.inl.h"
#include "format.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr float kMaxS = 32768.0f;
constexpr float kTableVariance = 4.0f;
constexpr float kCoarseVariance = 1066.5f;

/// The grid that a law of variance v <= kCoarseVariance has its table on, of 2^bits steps, and the variance of the table on it.
struct Grid {
  int bits;
  float variance;

  explicit Grid(float v) {
    bits = (v > 4.0f) + (v > 16.5f) + (v > 66.5f) + (v > 266.5f);
    // Added up, not looked up or chosen, so that loops over it become vectors: (4^bits - 1) / 6 is 0, 1/2, 5/2, 21/2, 85/2.
    const float fine = 0.5f * float(v > 4.0f) + 2.0f * float(v > 16.5f) + 8.0f * float(v > 66.5f) + 32.0f * float(v > 266.5f);
    variance = (v - fine) * bits_float(uint32_t(127 - 2 * bits) << 23);
  }
};

/// The row of the table that a variance lies in, and how far towards the next one.
inline int law_row(float v) {
  const int row = int(v * 4.0f);
  return row < kLawRows - 2 ? row : kLawRows - 2;
}
inline float law_weight(float v, int row) { return v * 4.0f - float(row); }
/// The threshold of |k| > j: of 15 bits, with a fraction. Mixes row `a` of the table with the next one.
inline float law_threshold(const float* a, int j, float weight) { return a[j] + (a[j + kLawColumns] - a[j]) * weight; }

/// The `matched` law at one variance, 0 <= v <= kTableVariance: the mixture of two neighbouring rows of the table. Thresholds are made
/// as they are asked for.
struct Law {
  const float* row;
  float weight;
  int columns;

  Law(const LawTable& table, float v) {
    const int r = law_row(v);
    weight = law_weight(v, r);
    row = table.tails + r * kLawColumns;
    columns = table.columns[r + 1];
  }

  float threshold(int j) const { return law_threshold(row, j, weight); }

  /// |k| for 15 bits m, with 32 more bits where those do not decide.
  int size(int m, const Draws& draws, size_t i) const {
    int k = 0;
    while (k < columns && m < int(threshold(k))) k++;
    if (k == columns || m != int(threshold(k))) return k;
    const uint32_t r = draws.refine(i);
    for (; k < columns; k++) {
      const float t = threshold(k);
      const int high = int(t);
      if (!(m < high || (m == high && r < uint32_t((t - float(high)) * 4294967296.0f)))) break;
    }
    return k;
  }
};

/// The noise of a weight in units of its step (a magnitude, finite), kept below kMaxS; 0 where there is no step.
inline float scale_in_steps(float sigma, bool in_steps, float step) {
  const float s = in_steps ? sigma : sigma / step;
  const float bounded = s < kMaxS ? s : kMaxS;
  return step > 0.0f ? bounded : 0.0f;
}

/// Below this s^2 noise is light to `relax`, and from this (1 - a^2) s^2 on heavy (src/laws/pulls.ts).
constexpr float kLightSquare = 0.5f, kHeavySquare = 0.265625f;

/// The standard deviation of the kick by which `relax` moves a whole run of noise s; 0 where it moves each weight by its own.
inline float kick_scale(float s, const float* decay) {
  const float square = s * s, lost = decay[1] * square;
  const float heavy = lost >= kHeavySquare ? lost - 0.25f : 0.0f, v = square < kLightSquare ? (1.0f - decay[0]) * square : heavy;
  return std::sqrt(v);
}

inline float scale_in_steps(const Move& move, float step) {
  const float s = scale_in_steps(move.sigma, move.in_steps, step);
  return move.decay == nullptr ? s : kick_scale(s, move.decay);
}

/// The same for steps as they are read, s[0, n). Which unit sigma is in is asked once, so that the loops become vectors.
inline void scales_in_steps(const Move& move, float* s, size_t n) {
  const float sigma = move.sigma;
  if (move.in_steps) {
    for (size_t r = 0; r < n; r++) s[r] = (step_size(s[r]) > 0.0f) & (sigma < kMaxS) ? sigma : step_size(s[r]) > 0.0f ? kMaxS : 0.0f;
  } else {
    for (size_t r = 0; r < n; r++) {
      const float step = step_size(s[r]), quotient = sigma / step, bounded = quotient < kMaxS ? quotient : kMaxS;
      s[r] = step > 0.0f ? bounded : 0.0f;
    }
  }
  for (size_t r = 0; move.decay != nullptr && r < n; r++) s[r] = kick_scale(s[r], move.decay);
}

/// The uniform of stochastic rounding: 23 bits, centred.
inline float centred_uniform(uint32_t word) { return (float(int32_t(word >> 9)) + 0.5f) * 1.1920928955078125e-7f; }

inline float matched_scale(float v) { return std::sqrt(v - (1.0f / 6.0f)); }

/// k[0, n) = floor(s |z| + u) with the sign of z; u from `words`, or 1/2 where they are null.
/// Works on whole vectors: up to N - 1 moves beyond n are written, and as many draws read; the buffers have room for them.
inline void kicks(int8_t* k, size_t n, float s, const float* z, const uint32_t* words) {
  for (size_t i = 0; i < n; i += N) {
    const U zb = load(reinterpret_cast<const uint32_t*>(z + i));
    const F u = words == nullptr ? set1f(0.5f) : mul(add(from_int(shr<9>(load(words + i))), set1f(0.5f)), set1f(1.1920928955078125e-7f));
    const U size = to_int(add(mul(set1f(s), as_float(band(zb, set1(0x7fffffffu)))), u));
    const U sign = sar<31>(zb);
    store_i8(k + i, sub(bxor(size, sign), sign));
  }
}

constexpr float kMaxF32 = 3.40282346638528859812e38f;

/// An overflowing sigma is cut, or infinity times a normal of 0 would be NaN.
inline float finite(float sigma) { return sigma < kMaxF32 ? sigma : kMaxF32; }

inline float clamp(float x, float limit) { return x < -limit ? -limit : x > limit ? limit : x; }

/// Moves of runs of weights under the `matched` law, v <= kTableVariance, by the table of src/laws/alias.ts: where the row and the
/// thresholds of every span of a tile lie in the table, a span being a group of 16 or 32 weights.
struct AliasRows {
  /// Room for what vectors look up beyond the last.
  static constexpr size_t kMost = kTile / 16 + 4;
  uint32_t row[kMost], thresholds[kMost];

  /// For variances v[0, n), negative where nothing moves, and the word of each. Rows are rounded to, up or down, so that their variance is what
  /// was asked for on average.
  void set(const float* v, const uint32_t* words, size_t n) {
    for (size_t p = 0; p < n; p++) {
      const uint32_t bits = (float_bits(v[p]) + (words[p] & ((1u << kAliasShift) - 1))) >> kAliasShift;
      row[p] = (int32_t(float_bits(v[p])) < 0 ? kAliasStill : bits - kAliasFirst) * kAliasRow;
      thresholds[p] = row[p] + 32 + (words[p] >> 29) * 16;
    }
    for (size_t p = n; p < n + 4; p++) row[p] = thresholds[p] = kAliasStill * kAliasRow;
  }
};

/// |k| with its sign: of a weight's byte, the lowest four bits choose the bucket, the fifth is the sign, and the upper three with five shared
/// ones the outcome.
inline B drawn(B byte, B shared, LaneTable first, LaneTable second, LaneTable thresholds) {
  const B bucket = and_b(byte, set1_b(15)), share = or_b(and_b(byte, set1_b(0xe0)), shared);
  return negate_at_16(choose_less(share, lookup_lanes(thresholds, bucket), lookup_lanes(first, bucket), lookup_lanes(second, bucket)), byte);
}

/// k[0, n) of weights from `start` of the tile on, in groups of kGroup, 16 or 32, with a row each. Whole vectors.
template <int kGroup>
inline void alias_groups(int8_t* k, ptrdiff_t start, size_t n, const AliasRows& rows, const LawTable& table, const Draws& draws) {
  for (size_t i = 0; i < n; i += B_LANES) {
    const uint32_t* const row = rows.row + i / kGroup;
    const uint32_t* const threshold = rows.thresholds + i / kGroup;
    const LaneTable first = load_lanes<kGroup>([&](size_t g) { return table.alias + row[g]; });
    const LaneTable second = load_lanes<kGroup>([&](size_t g) { return table.alias + 16 + row[g]; });
    const LaneTable thresholds = load_lanes<kGroup>([&](size_t g) { return table.alias + threshold[g]; });
    const ptrdiff_t weight = start + ptrdiff_t(i);
    store_b(reinterpret_cast<uint8_t*>(k) + i, drawn(load_b(draws.bytes(weight)), load_b(draws.shared(weight)), first, second, thresholds));
  }
}

/// k[from, from + n) of one run of the tile. Whole vectors.
inline void alias_run(int8_t* k, size_t from, size_t n, const LawTable& table, float v, Draws& draws) {
  draws.runs();
  // From the beginning of a row span on, of which the weights before may be another run's.
  const size_t before = size_t((draws.index + from) % kRowSpan), all = before + n, spans = (all + kRowSpan - 1) / kRowSpan;
  const ptrdiff_t start = ptrdiff_t(from) - ptrdiff_t(before);
  float variances[kTile / kRowSpan + 1];
  for (size_t p = 0; p < spans; p++) variances[p] = v;
  AliasRows rows;
  rows.set(variances, draws.row_words(start), spans);
  if (before == 0) {
    alias_groups<kRowSpan>(k + from, start, n, rows, table, draws);
    return;
  }
  alignas(64) int8_t scratch[kTile + kRowSpan + 64];
  alias_groups<kRowSpan>(scratch, start, all, rows, table, draws);
  memcpy(k + from, scratch + before, n);
}

/// k[0, n) of weights with a variance each: v[i] <= kTableVariance, or more where the table does not serve and k[i] means nothing.
/// Whole vectors, as in `kicks`.
inline void table_each(int32_t* k, size_t n, const LawTable& table, const float* v, Draws& draws) {
  const uint16_t* words = draws.moves();
  alignas(64) uint32_t fifteen[kTile + N], open[N];
  int row = 0;
  for (size_t i = 0; i < n; i++) {
    fifteen[i] = words[i] & 0x7fff;
    const int at = law_row(v[i] <= kTableVariance ? v[i] : 0.0f);
    row = at > row ? at : row;
  }
  // Tails grow with the variance and fall with the column: one column below 1 stands for all further ones.
  const float* const largest = table.tails + (row + 1) * kLawColumns;
  int columns = 0;
  for (bool whole = true; whole && columns < table.columns[row + 1]; columns++) whole = largest[columns] >= 1.0f;
  for (size_t i = 0; i < n; i += N) {
    // Beyond n there may be anything: lookups must stay within the table.
    const F variance = as_float(load(reinterpret_cast<const uint32_t*>(v + i)));
    const F position = max(min(mul(variance, set1f(4.0f)), set1f(4.0f * kTableVariance)), set1f(0.0f));
    const U at = to_int(min(position, set1f(float(kLawRows) - 1.5f)));
    const F weight = sub(position, from_int(at));
    const U m = load(fifteen + i);
    U size = set1(0), undecided = set1(0);
    for (int j = 0; j < columns; j++) {
      const F a = lookup(table.columns_of_tails[j], at), b = lookup(table.columns_of_tails[j] + 1, at);
      const U high = to_int(add(a, mul(sub(b, a), weight)));
      size = sub(size, sar<31>(sub(m, high)));
      undecided = bor(undecided, sub(bxor(m, high), set1(1)));  // negative where they are equal
    }
    store(reinterpret_cast<uint32_t*>(k) + i, size);
    store(open, sar<31>(undecided));
    uint32_t any = 0;
    for (size_t lane = 0; lane < N; lane++) any |= open[lane];
    if (any == 0) continue;
    for (size_t lane = 0; lane < N && i + lane < n; lane++) {
      if (open[lane] != 0 && v[i + lane] <= kTableVariance) k[i + lane] = Law(table, v[i + lane]).size(int(fifteen[i + lane]), draws, i + lane);
    }
  }
  for (size_t i = 0; i < n; i++) k[i] = words[i] & 0x8000 ? -k[i] : k[i];
}

/// k[0, n) := 2^bits k + A - B, kept to int8. Compilers make vectors of 16 bits of it.
template <int kBits>
inline void refine_by(int8_t* __restrict k, size_t n, const uint8_t* __restrict fine) {
  constexpr uint8_t mask = (1 << kBits) - 1;
  for (size_t i = 0; i < n; i++) {
    const int16_t a = int16_t(fine[i] & mask), b = int16_t(fine[i] >> 4 & mask);
    int16_t move = int16_t(int16_t(int16_t(k[i]) * int16_t(1 << kBits)) + a - b);
    move = move < -127 ? int16_t(-127) : move;
    k[i] = int8_t(move > 127 ? int16_t(127) : move);
  }
}
inline void refine_moves(int8_t* k, size_t n, int bits, const uint8_t* fine) {
  switch (bits) {
    case 1: return refine_by<1>(k, n, fine);
    case 2: return refine_by<2>(k, n, fine);
    case 3: return refine_by<3>(k, n, fine);
    case 4: return refine_by<4>(k, n, fine);
  }
}

#if BROWNIAN_VECTORS
/// The same for groups of kGroup weights, 16 or 32, with a number of bits each, where no bits change nothing. Whole vectors.
template <int kGroup>
inline void refine_groups(int8_t* k, size_t n, const int8_t* bits, const uint8_t* fine) {
  struct Lanes {
    alignas(16) uint8_t masks[5][16];
    alignas(16) uint16_t factors[5][8];
    Lanes() {
      for (int b = 0; b < 5; b++) {
        for (int i = 0; i < 16; i++) masks[b][i] = uint8_t((1 << b) - 1);
        for (int i = 0; i < 8; i++) factors[b][i] = uint16_t(1 << b);
      }
    }
  };
  static const Lanes lanes;
  for (size_t i = 0; i < n; i += B_LANES) {
    const int8_t* const at = bits + i / kGroup;
    const B mask = load_lanes<kGroup>([&](size_t g) { return lanes.masks[at[g]]; });
    const B factor = load_lanes<kGroup>([&](size_t g) { return reinterpret_cast<const uint8_t*>(lanes.factors[at[g]]); });
    const B byte = load_b(fine + i), apart = sub_b(and_b(byte, mask), and_b(shr4_b(byte), mask));
    uint8_t* const moves = reinterpret_cast<uint8_t*>(k) + i;
    store_b(moves, multiply_add(load_b(moves), factor, apart));
  }
}
#endif

/// k[from, from + n) of a run whose noise is s steps, where no table serves. Draws for itself alone where its tile has few such runs.
inline void kick_run(int8_t* k, size_t from, size_t n, float s, const Move& move, Draws& draws, bool alone) {
  const float scale = move.rounding == kMatched ? matched_scale(s * s) : s;
  const bool nearest = move.rounding == kNearest;
  if (!alone) {
    kicks(k + from, n, scale, draws.normals() + from, nearest ? nullptr : draws.rounding() + from);
    return;
  }
  alignas(64) float z[64 + 4 + N];
  alignas(64) uint32_t words[64 + 4 + N];
  for (size_t i = 0; i < n; i += 64) {
    const uint64_t at = draws.index + from + i;
    const size_t skip = size_t(at & 3), count = n - i < 64 ? n - i : 64;
    normal(z, skip + count, draws.key, {at >> 2, 0, draws.tick, kNormalPurpose});
    if (!nearest) bits(words, skip + count, draws.key, {at >> 2, 0, draws.tick, kRoundingPurpose});
    kicks(k + from + i, count, scale, z + skip, nearest ? nullptr : words + skip);
  }
}

}  // namespace brownian::BROWNIAN_TARGET
