// Moves of float weights: F32, F16, BF16, and those of eight bits. The counterpart of src/laws/floats.ts, which holds the formulas.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "draws.inl.h"
#include "float_bits.inl.h"
#include "laws.inl.h"
#include "short_floats.inl.h"

namespace brownian::BROWNIAN_TARGET {

inline float read_f32(const uint8_t* data, size_t i) {
  float w;
  memcpy(&w, data + 4 * i, 4);
  return w;
}

/// The sum of all lanes.
inline size_t sum_of_lanes(U a) {
  alignas(64) uint32_t lanes[N];
  store(lanes, a);
  size_t sum = 0;
  for (size_t lane = 0; lane < N; lane++) sum += lanes[lane];
  return sum;
}

/// F32 weights, a vector at a time.
class FloatMover {
 public:
  FloatMover(const Move& move, Draws& draws) : in_steps_(move.in_steps), sigma_(move.sigma), draws_(draws) {}

  size_t operator()(uint8_t* data, size_t n) {
    const float* z = draws_.normals();
    const size_t whole = n - n % N;
    U changed = set1(0);
    for (size_t i = 0; i < whole; i += N) vector(data + 4 * i, z + i, changed);
    if (whole < n) {
      alignas(64) uint8_t rest[4 * N] = {};
      memcpy(rest, data + 4 * whole, 4 * (n - whole));
      U ignored = set1(0);
      vector(rest, z + whole, ignored);
      size_t others = 0;
      for (size_t i = 0; i < 4 * (n - whole); i += 4) others += memcmp(rest + i, data + 4 * whole + i, 4) != 0;
      memcpy(data + 4 * whole, rest, 4 * (n - whole));
      return sum_of_lanes(changed) + others;
    }
    return sum_of_lanes(changed);
  }

 private:
  inline void vector(uint8_t* at, const float* z, U& changed) const {
    uint32_t* const words = reinterpret_cast<uint32_t*>(at);
    const U bits = load(words), magnitude = band(bits, set1(0x7fffffffu)), exponent = band(bits, set1(0x7f800000u));
    const F w = as_float(bits), reach = sub(set1f(kMaxF32), as_float(magnitude));
    const F step = mul(max(as_float(exponent), as_float(set1(1u << 23))), set1f(1.1920928955078125e-7f));
    const F sigma = in_steps_ ? min(mul(set1f(sigma_), step), set1f(kMaxF32)) : set1f(sigma_);
    const F moved = add(w, max(min(mul(sigma, load_f(z)), reach), sub(set1f(0.0f), reach)));
    // Not of infinities and NaNs; and one zero is as good as the other.
    const U finite = sar<31>(sub(magnitude, set1(0x7f800000u)));
    const U differs = sar<31>(sub(set1(0), band(as_uint(sub(moved, w)), set1(0x7fffffffu))));
    const U moves = band(differs, finite);
    store(words, bxor(bits, band(bxor(bits, as_uint(moved)), moves)));
    changed = sub(changed, moves);
  }

  const bool in_steps_;
  const float sigma_;
  Draws& draws_;
};

/// The laws of half floats at one sigma (src/laws/floats.ts), by the binade of a weight's step, of which the first is `least`.
struct HalfLaws {
  static constexpr int kBits = 6;
  static constexpr int kBinades = 15;
  float least;   // the least step; or, where sigma is in steps, how many of them are one
  float s;       // sigma in those
  int exponent;  // of the least step, as float32 has it
  int columns = 0;
  bool coarse = false;  // whether any law has bits below the table's grid
  /// Thresholds of 15 bits by column and binade, the lower byte put so that signed bytes compare as unsigned ones would. Of all further
  /// binades the whole part is 0.
  alignas(64) uint8_t high[kLawColumns][16] = {}, low[kLawColumns][16];
  /// The thresholds of each binade, -1 beyond the last.
  int16_t limits[16][kLawColumns + 1];
  /// 2^bits - 1 of a binade.
  alignas(64) uint8_t mask[16] = {};

  HalfLaws(const Move& move, const LawTable& table) : exponent(int(float_bits(move.sigma) >> 23) - kBits) {
    if (move.in_steps) least = bits_float(uint32_t(exponent > 127 ? exponent : 127) << 23);
    else least = bits_float(exponent > 0 ? uint32_t(exponent) << 23 : 1u << (22 + exponent));
    s = move.sigma / least;
    memset(low, 0x80, sizeof(low));
    memset(limits, -1, sizeof(limits));
    for (int binade = 0; binade < 16; binade++) limits[binade][0] = 0;
    for (int binade = 0; binade < (move.in_steps ? 1 : kBinades); binade++) {
      const Bits law(variance(binade));
      mask[binade] = uint8_t((1 << law.bits) - 1);
      coarse |= law.bits > 0;
      const Law of(table, law.variance);
      for (int j = 0; j < of.columns; j++) {
        const int threshold = int(of.threshold(j));
        high[j][binade] = uint8_t(threshold >> 8);
        low[j][binade] = uint8_t(threshold & 0xff) ^ 0x80;
        limits[binade][j] = int16_t(threshold);
        // One column below 1 stands for all further ones.
        if (columns < j + 1) columns = j + 1;
        if (threshold == 0) break;
      }
    }
  }

  float variance(int binade) const {
    const float steps = s * (binade < 127 ? bits_float(uint32_t(127 - binade) << 23) : binade < 150 ? bits_float(1u << (149 - binade)) : 0.0f);
    return steps * steps;
  }

  /// The grid of 2^bits steps that the table is put on, and its variance there.
  struct Bits {
    int bits = 0;
    float variance;

    explicit Bits(float v) {
      float fine = 0.0f, scale = 1.0f;  // (4^bits - 1) / 6 and 4^-bits
      while (bits < kBits && v > kTableVariance / scale + fine) {
        bits++;
        fine = fine * 4.0f + 0.5f;
        scale *= 0.25f;
      }
      variance = (v - fine) * scale;
    }
  };
};

/// Short floats under the `matched` law.
template <class Format>
class HalfMover {
 public:
  HalfMover(const Move& move, const LawTable& table, Draws& draws) : in_steps_(move.in_steps), table_(table), draws_(draws), laws_(move, table) {}

  size_t operator()(uint8_t* data, size_t n) {
    Format::load_all(h_, data, n);
    classify(n);
    draw(n);
    if (laws_.coarse) {
      refine(n, draws_.halves());
    } else {
      for (size_t i = 0; i < n; i++) k_[i] = int16_t(sizes_[i] * 16);
    }
    for (size_t i = 0; i < n; i++) k_[i] = (h_[i] & 0x7fff) < Format::infinity ? k_[i] : int16_t(0);
    for (size_t i = n; i < n + N; i++) h_[i] = 0;
    for (size_t i = n; i < n + N; i++) k_[i] = 0;
    uint32_t between = put(n);
    if (between != 0 && !laws_.coarse) {
      const uint16_t* words = draws_.halves();
      for (size_t i = 0; i < n; i++) k_[i] = int16_t(k_[i] | words[i] >> 12);
      put(n);
    }
    if (between & ((1u << (Format::dropped - 4)) - 1)) round_closely(n);
    uint16_t changed = 0;
    for (size_t i = 0; i < n; i++) {
      const uint16_t kept = (k_[i] & -16) != 0 ? uint16_t(moved_[i]) : h_[i];
      changed = uint16_t(changed + uint16_t(kept != h_[i]));
      h_[i] = kept;
    }
    if (changed > 0) Format::store_all(data, h_, n);
    return changed;
  }

 private:
  /// The binade of each weight's step.
  void classify(size_t n) {
    const int16_t first = int16_t(laws_.exponent - Format::step_binade);
    if (in_steps_) {
      memset(binades_, 0, n);
      return;
    }
    for (size_t i = 0; i < n; i++) {
      const int16_t exponent = int16_t(h_[i] >> Format::mantissa & Format::exponents),
                    above = int16_t((exponent > 1 ? exponent : int16_t(1)) - first);
      const int16_t kept = above > 0 ? above : int16_t(0);
      binades_[i] = uint8_t(kept < HalfLaws::kBinades ? kept : int16_t(HalfLaws::kBinades));
    }
  }

  /// k1 of each weight, and the bits of its grid.
  void draw(size_t n) {
    const uint16_t* words = draws_.moves();
#if BROWNIAN_VECTORS
    const B zero = set1_b(0), flip = set1_b(0x80), upper = set1_b(0x7f);
    for (size_t i = 0; i < n; i += B_LANES) {
      const B binade = load_b(binades_ + i);
      B low, high;
      load_halves(words + i, low, high);
      const B negative = less_b(high, zero);
      low = xor_b(low, flip);
      high = and_b(high, upper);
      B size = zero, open = zero;
      for (int j = 0; j < laws_.columns; j++) {
        const B limit_high = lookup_b(laws_.high[j], binade), limit_low = lookup_b(laws_.low[j], binade), equal = equal_b(high, limit_high);
        size = sub_b(size, or_b(less_b(high, limit_high), and_b(equal, less_b(low, limit_low))));
        open = or_b(open, and_b(equal, equal_b(low, limit_low)));
      }
      store_b(reinterpret_cast<uint8_t*>(sizes_) + i, sub_b(xor_b(size, negative), negative));
      store_b(masks_ + i, lookup_b(laws_.mask, binade));
      if (count_nonzero_b(open) == 0) continue;
      alignas(64) uint8_t lanes[B_LANES];
      store_b(lanes, open);
      for (size_t lane = 0; lane < B_LANES && i + lane < n; lane++) {
        if (lanes[lane] != 0) decide(i + lane, words[i + lane]);
      }
    }
#else
    for (size_t i = 0; i < n; i++) {
      const int m = words[i] & 0x7fff;
      const int16_t* const limits = laws_.limits[binades_[i]];
      int size = 0;
      while (m < limits[size]) size++;
      sizes_[i] = int8_t(words[i] & 0x8000 ? -size : size);
      masks_[i] = laws_.mask[binades_[i]];
      if (m == limits[size]) decide(i, words[i]);
    }
#endif
  }

  void decide(size_t i, uint16_t word) {
    const int exponent = h_[i] >> Format::mantissa & Format::exponents;
    const int above = (exponent > 1 ? exponent : 1) - (laws_.exponent - Format::step_binade);
    const int binade = in_steps_ || above < 0 ? 0 : above;
    const int size = Law(table_, HalfLaws::Bits(laws_.variance(binade)).variance).size(word & 0x7fff, draws_, i);
    sizes_[i] = int8_t(word & 0x8000 ? -size : size);
  }

  /// k = 2^bits k1 + A - B, and below it the four bits that round. Compilers make vectors of 16 bits of it.
  void refine(size_t n, const uint16_t* words) {
    for (size_t i = 0; i < n; i++) {
      const uint16_t factor = uint16_t(masks_[i] + 1);
      const uint16_t a = uint16_t(uint16_t(words[i] & 63) * factor), b = uint16_t(uint16_t(words[i] >> 6 & 63) * factor);
      const int16_t k = int16_t(int16_t(int16_t(sizes_[i]) * int16_t(factor)) + int16_t(a >> 6) - int16_t(b >> 6));
      k_[i] = int16_t(int16_t(k * 16) | int16_t(words[i] >> 12));
    }
  }

  /// What weights become. Returns the bits of all sums that lie between the points of the format's grid.
  uint32_t put(size_t n) {
    for (size_t i = 0; i < n + N; i++) moved_[i] = h_[i];
    for (size_t i = 0; i < n + N; i++) wide_[i] = uint32_t(int32_t(k_[i]));
    const F least = set1f(laws_.least), tiny = as_float(set1(Format::least_normal)), most = set1f(1.70141183460469231732e38f);
    const U fifteen = set1(15), sign = set1(0x80000000u);
    U between = set1(0);
    for (size_t i = 0; i < n; i += N) {
      const U h = load(moved_ + i), drawn = load(wide_ + i);
      const F size = Format::size(h), w = as_float(bor(as_uint(size), Format::sign(h)));
      const F unit = mul(max(as_float(band(as_uint(size), set1(0x7f800000u))), tiny), set1f(Format::unit));
      const F step = in_steps_ ? min(mul(unit, least), most) : max(unit, least);
      const F reach = sub(set1f(Format::max), size), below = as_float(bxor(as_uint(reach), sign));
      const F y = add(w, max(min(mul(from_int(sar<4>(drawn)), step), reach), below));
      between = bor(between, as_uint(y));
      store(moved_ + i, Format::rounded(y, band(drawn, fifteen)));
    }
    alignas(64) uint32_t lanes[N];
    store(lanes, between);
    uint32_t all = 0;
    for (size_t lane = 0; lane < N; lane++) all |= lanes[lane];
    return all & ((1u << Format::dropped) - 1);
  }

  /// Where four bits do not decide how a sum is rounded: those of Purpose.Rounding below them.
  void round_closely(size_t n) {
    constexpr uint32_t rest = (1u << (Format::dropped - 4)) - 1;
    for (size_t i = 0; i < n; i++) {
      const int k = k_[i] >> 4;
      if (k == 0) continue;
      const float w = Format::value(h_[i]), unit = Format::step(w);
      const float most = 1.70141183460469231732e38f, many = unit * laws_.least;
      const float step = in_steps_ ? (many < most ? many : most) : unit > laws_.least ? unit : laws_.least;
      const float y = w + clamp(float(k) * step, Format::max - std::fabs(w));
      if ((float_bits(y) & rest) == 0) continue;
      const uint64_t at = draws_.index + i;
      uint32_t word;
      bits(&word, 1, draws_.key, {at >> 2, uint32_t(at & 3), draws_.tick, kRoundingPurpose});
      const uint32_t bump = uint32_t(k_[i] & 15) << (Format::dropped - 4) | (word & rest);
      moved_[i] = Format::magnitude(std::fabs(y), false, bump) | ((float_bits(y) >> 16) & 0x8000);
    }
  }

  const bool in_steps_;
  const LawTable& table_;
  Draws& draws_;
  const HalfLaws laws_;
  // Room for what vectors read and write beyond the last weight.
  alignas(64) uint16_t h_[kTile + 64];
  alignas(64) int16_t k_[kTile + 64];
  alignas(64) int8_t sizes_[kTile + 64];
  alignas(64) uint8_t binades_[kTile + 64], masks_[kTile + 64];
  alignas(64) uint32_t moved_[kTile + N], wide_[kTile + N];
};

/// Short floats under the other laws: w + sigma z, rounded.
template <class Format>
inline size_t move_half_tile(uint8_t* data, size_t n, const Move& move, Draws& draws) {
  const bool nearest = move.rounding == kNearest;
  uint16_t h[kTile];
  Format::load_all(h, data, n);
  const float* z = draws.normals();
  const uint32_t* words = nearest ? nullptr : draws.rounding();
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float w = Format::value(h[i]), size = std::fabs(w);
    const float sigma = move.in_steps ? finite(move.sigma * Format::step(w)) : move.sigma;
    const float y = w + clamp(sigma * z[i], Format::max - size);
    const uint32_t bits = Format::magnitude(std::fabs(y), nearest, nearest ? 0 : words[i]);
    const uint16_t moved = uint16_t(bits | ((float_bits(y) >> 16) & 0x8000));
    const uint16_t kept = size <= Format::max ? moved : h[i];
    changed += kept != h[i];
    h[i] = kept;
  }
  if (changed > 0) Format::store_all(data, h, n);
  return size_t(changed);
}

}  // namespace brownian::BROWNIAN_TARGET
