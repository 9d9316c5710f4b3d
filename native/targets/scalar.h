// One lane, no intrinsics: runs anywhere.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels/format.h"

/// The namespace of this target, and whether its vectors have more than one lane.
#define BROWNIAN_TARGET scalar
#define BROWNIAN_VECTORS 0

namespace brownian::scalar {

constexpr int N = 1;
constexpr int B_LANES = 1;
using U = uint32_t;
struct F {
  float x;
};
using B = uint8_t;

inline U set1(uint32_t x) { return x; }
inline F set1f(float x) { return {x}; }
/// From anywhere: weights lie at no multiple of four bytes.
inline U load(const uint32_t* p) {
  U a;
  memcpy(&a, p, 4);
  return a;
}
inline void store(uint32_t* p, U a) { memcpy(p, &a, 4); }
inline F as_float(U a) {
  F f;
  memcpy(&f, &a, 4);
  return f;
}
inline U as_uint(F a) {
  U u;
  memcpy(&u, &a, 4);
  return u;
}
inline U add(U a, U b) { return a + b; }
inline U sub(U a, U b) { return a - b; }
inline U band(U a, U b) { return a & b; }
inline U bor(U a, U b) { return a | b; }
inline U bxor(U a, U b) { return a ^ b; }
inline U xor3(U a, U b, U c) { return a ^ b ^ c; }
template <int n>
inline U shl(U a) {
  return a << n;
}
template <int n>
inline U shr(U a) {
  return a >> n;
}
template <int n>
inline U sar(U a) {
  return U(int32_t(a) >> n);
}
inline U add_carry(U high, U sum, U addend) { return high + (sum < addend); }
/// Words as multiplication takes them.
using W = U;
inline W apart(U a) { return a; }
inline U together(W a) { return a; }
inline void mul_wide(U a, uint32_t m, U& high, U& low) {
  const uint64_t product = uint64_t(a) * m;
  high = U(product >> 32);
  low = U(product);
}
inline F add(F a, F b) { return {a.x + b.x}; }
inline F sub(F a, F b) { return {a.x - b.x}; }
inline F mul(F a, F b) { return {a.x * b.x}; }
inline F div(F a, F b) { return {a.x / b.x}; }
inline F min(F a, F b) { return a.x < b.x ? a : b; }
inline F max(F a, F b) { return a.x > b.x ? a : b; }
inline F root(F a) { return {std::sqrt(a.x)}; }
inline F from_int(U a) { return {float(int32_t(a))}; }
inline U to_int(F a) { return U(int32_t(a.x)); }
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) {
  out[0] = a;
  out[1] = b;
  out[2] = c;
  out[3] = d;
}
/// One lane needs no order of steps.
BROWNIAN_INLINE void here(U&) {}
BROWNIAN_INLINE void here(F&) {}
/// All bits, or none: a branch could not be predicted.
using Mask = uint32_t;
template <int bit>
inline Mask has_bit(U a) {
  return 0 - (a >> bit & 1);
}
inline F choose(Mask at, F yes, F no) { return as_float(as_uint(no) ^ ((as_uint(yes) ^ as_uint(no)) & at)); }
/// -a where the top bit of `by` is set.
inline F turned(F a, U by) { return as_float(as_uint(a) ^ (by & 0x80000000)); }
inline F lookup(const float* table, U index) { return {table[index]}; }
inline void store_i8(int8_t* out, U a) {
  const int32_t x = int32_t(a);
  *out = int8_t(x > 127 ? 127 : x < -128 ? -128 : x);
}

inline B set1_b(uint8_t x) { return x; }
inline B load_b(const uint8_t* p) { return *p; }
inline void store_b(uint8_t* p, B a) { *p = a; }
inline B xor_b(B a, B b) { return B(a ^ b); }
inline B add_b(B a, B b) { return B(a + b); }
inline B sub_b(B a, B b) { return B(a - b); }
inline B sub_floor_b(B a, B b) { return a > b ? B(a - b) : B(0); }
inline B min_b(B a, B b) { return a < b ? a : b; }
inline B min_signed_b(B a, B b) { return int8_t(a) < int8_t(b) ? a : b; }
inline B max_signed_b(B a, B b) { return int8_t(a) > int8_t(b) ? a : b; }
inline B abs_b(B a) { return int8_t(a) < 0 ? B(-a) : a; }
inline B lookup_b(const uint8_t* table, B a) { return table[a]; }
inline U dot_of_four(B a, B b) { return U(int(a) * int8_t(b)); }
inline uint32_t nonzero_b(B a) { return a != 0; }
inline size_t count_nonzero_b(B a) { return a != 0; }

/// Of one lane, a table is where it lies.
struct LaneTable {
  const uint8_t* at;
};
template <int kGroup, class At>
inline LaneTable load_lanes(At at) {
  return {at(0)};
}
inline B lookup_lanes(LaneTable table, B a) { return table.at[a]; }
inline B choose_less(B x, B limit, B first, B second) { return int8_t(x) < int8_t(limit) ? first : second; }
inline B negate_at_16(B a, B bits) {
  const B turned = B(-(bits >> 4 & 1));
  return B((a ^ turned) - turned);
}
inline B or_b(B a, B b) { return B(a | b); }
inline B and_b(B a, B b) { return B(a & b); }
/// All ones where a < b (signed), or a = b.
inline B less_b(B a, B b) { return int8_t(a) < int8_t(b) ? 0xff : 0; }
inline B equal_b(B a, B b) { return a == b ? 0xff : 0; }
inline void load_halves(const uint16_t* p, B& low, B& high) {
  low = B(*p & 0xff);
  high = B(*p >> 8);
}
/// The bytes of sixteen words: all first ones, then all second ones, third and fourth ones.
inline void store_byte_rows(uint8_t* rows, const uint32_t* words) {
  for (int row = 0; row < 4; row++) {
    for (int i = 0; i < 16; i++) rows[16 * row + i] = uint8_t(words[i] >> (8 * row));
  }
}

}  // namespace brownian::scalar
