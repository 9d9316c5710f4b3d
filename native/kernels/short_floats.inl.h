// The grids of short floats: F16, BF16, and those of eight bits, E4M3 and E5M2 (OCP 8-bit Floating Point Specification, 2023). The counterpart of the
// tables in src/laws/floats.ts. How weights move on them is in floats.inl.h.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "draws.inl.h"
#include "float_bits.inl.h"
#include "laws.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// The distance from |w| to the next larger value with this many bits of mantissa; below 2^lowest the grid is uniform.
inline float ulp(float w, int mantissa, int lowest) {
  int exponent = (float_bits(w) >> 23) & 0xff;
  if (exponent < lowest + 127) exponent = lowest + 127;
  return exponent > mantissa ? bits_float(uint32_t(exponent - mantissa) << 23) : bits_float(1u << (exponent + 22 - mantissa));
}
inline float ulp_f32(float w) { return ulp(w, 23, -126); }

/// How the floats of a format lie in memory: as they are worked on, in 16 bits.
struct TwoBytes {
  static void load_all(uint16_t* halves, const uint8_t* data, size_t n) { memcpy(halves, data, 2 * n); }
  static void store_all(uint8_t* data, const uint16_t* halves, size_t n) { memcpy(data, halves, 2 * n); }
};

struct F16 : TwoBytes {
  static constexpr float max = 65504.0f;
  static constexpr int mantissa = 10, exponents = 31, infinity = 0x7c00, dropped = 13;
  /// The binade of the step 2^(exponent - 25), as float32 has it.
  static constexpr int step_binade = 102;
  static constexpr float unit = 0.0009765625f;                        // 2^-10
  static constexpr uint32_t least_normal = uint32_t(127 - 14) << 23;  // as float32
  static float value(uint16_t h) { return half_to_float(h); }
  static float step(float w) { return ulp(w, 10, -14); }
  /// |w| of finite ones, and their sign as a float has it.
  static F size(U h) { return mul(as_float(shl<13>(band(h, set1(0x7fff)))), set1f(5192296858534827628530496329220096.0f)); }
  static U sign(U h) { return shl<16>(band(h, set1(0x8000))); }
  /// y on the grid, up or down by four bits.
  static U rounded(F y, U four) {
    // Below the normal numbers every y is on the grid, whose points are those of the first binade, less one.
    const U size = band(as_uint(y), set1(0x7fffffffu)), small = sar<31>(sub(size, set1(least_normal)));
    const U bits = as_uint(add(as_float(size), as_float(band(small, set1(least_normal)))));
    const U whole = sub(shr<13>(add(bits, shl<9>(four))), add(set1(112u << 10), band(small, set1(1u << 10))));
    return bor(whole, band(shr<16>(as_uint(y)), set1(0x8000)));
  }

  /// |y| on the grid, as the format's bits: up or down as `word` decides, or to the nearest (ties to even).
  static uint32_t magnitude(float a, bool nearest, uint32_t word) {
    const uint32_t bits = float_bits(a);
    const uint32_t bump = nearest ? 0xfff + ((bits >> 13) & 1) : word & 0x1fff;
    const uint32_t normal = ((bits + bump) >> 13) - (112u << 10);
    const float n = a * 16777216.0f;
    const float up = nearest ? (n + 8388608.0f) - 8388608.0f : n + centred_uniform(word);
    const bool small = a < 6.103515625e-5f;
    return small ? uint32_t(int32_t(small ? up : 0.0f)) : normal;
  }
};

struct BF16 : TwoBytes {
  static constexpr float max = 3.38953138925153547591e38f;
  static constexpr int mantissa = 7, exponents = 255, infinity = 0x7f80, dropped = 16, step_binade = -7;
  static constexpr float unit = 0.0078125f;
  static constexpr uint32_t least_normal = 1u << 23;
  static float value(uint16_t h) { return bits_float(uint32_t(h) << 16); }
  static float step(float w) { return ulp(w, 7, -126); }
  static F size(U h) { return as_float(shl<16>(band(h, set1(0x7fff)))); }
  static U sign(U h) { return shl<16>(band(h, set1(0x8000))); }
  static U rounded(F y, U four) { return shr<16>(add(as_uint(y), shl<12>(four))); }

  static uint32_t magnitude(float a, bool nearest, uint32_t word) {
    const uint32_t bits = float_bits(a);
    const uint32_t bump = nearest ? 0x7fff + ((bits >> 16) & 1) : word & 0xffff;
    return (bits + bump) >> 16;
  }
};

/// A float of eight bits, worked on as one of sixteen: its sign is where theirs is, its other bits at the lower end.
template <int kMantissa, int kLowest, int kInfinity>
struct ByteFloat {
  static constexpr int mantissa = kMantissa, exponents = (1 << (7 - kMantissa)) - 1, infinity = kInfinity, dropped = 23 - kMantissa;
  static constexpr int step_binade = 126 + kLowest - kMantissa;
  static constexpr float unit = 1.0f / float(1 << kMantissa);
  static constexpr uint32_t least_normal = uint32_t(127 + kLowest) << 23;
  static constexpr uint32_t rebias = uint32_t(126 + kLowest) << kMantissa;

  static void load_all(uint16_t* halves, const uint8_t* data, size_t n) {
    for (size_t i = 0; i < n; i++) halves[i] = uint16_t((data[i] & 0x7f) | (data[i] & 0x80) << 8);
  }
  static void store_all(uint8_t* data, const uint16_t* halves, size_t n) {
    for (size_t i = 0; i < n; i++) data[i] = uint8_t((halves[i] & 0x7f) | halves[i] >> 8);
  }
  static float step(float w) { return ulp(w, kMantissa, kLowest); }
  /// |w| of finite ones: as a float32 whose exponent is too small by what it is multiplied with.
  static F size(U h) { return mul(as_float(shl<23 - kMantissa>(band(h, set1(0x7fff)))), set1f(bits_float(uint32_t(127 + 126 + kLowest) << 23))); }
  static U sign(U h) { return shl<16>(band(h, set1(0x8000))); }
  static U rounded(F y, U four) {
    const U size = band(as_uint(y), set1(0x7fffffffu)), small = sar<31>(sub(size, set1(least_normal)));
    const U bits = as_uint(add(as_float(size), as_float(band(small, set1(least_normal)))));
    const U whole = sub(shr<dropped>(add(bits, shl<dropped - 4>(four))), add(set1(rebias), band(small, set1(1u << kMantissa))));
    return bor(whole, band(shr<16>(as_uint(y)), set1(0x8000)));
  }

  static uint32_t magnitude(float a, bool nearest, uint32_t word) {
    const uint32_t bits = float_bits(a), mask = (1u << dropped) - 1;
    const uint32_t bump = nearest ? (mask >> 1) + ((bits >> dropped) & 1) : word & mask;
    const uint32_t normal = ((bits + bump) >> dropped) - rebias;
    const float n = a * float(1u << (kMantissa - kLowest));
    const float up = nearest ? (n + 8388608.0f) - 8388608.0f : n + centred_uniform(word);
    const bool small = a < bits_float(least_normal);
    return small ? uint32_t(int32_t(small ? up : 0.0f)) : normal;
  }
};

struct E4M3 : ByteFloat<3, -6, 0x7f> {
  static constexpr float max = 448.0f;
  static float value(uint16_t h) {
    const uint32_t magnitude = h & 0x7f;
    const float size = magnitude < 8      ? float(magnitude) * 0.001953125f
                       : magnitude < 0x7f ? bits_float((magnitude << 20) + (120u << 23))
                                          : bits_float(0x7fc00000u);
    return h & 0x8000 ? -size : size;
  }
};

struct E5M2 : ByteFloat<2, -14, 0x7c> {
  static constexpr float max = 57344.0f;
  static float value(uint16_t h) { return half_to_float(uint16_t((h & 0x8000) | (h & 0x7f) << 8)); }
};

/// Calls use with the format of a kind that is no float32.
template <class Use>
inline auto with_short_float(int kind, Use use) {
  switch (kind) {
    case kF16: return use(F16());
    case kE4m3: return use(E4M3());
    case kE5m2: return use(E5M2());
    default: return use(BF16());
  }
}

}  // namespace brownian::BROWNIAN_TARGET
