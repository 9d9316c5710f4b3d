// 128-bit vectors: AArch64, where NEON is part of every processor. No flags of its own; on other processors this file is not compiled.
#pragma once
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../kernels/format.h"

/// The namespace of this target, and whether its vectors have more than one lane.
#define BROWNIAN_TARGET neon
#define BROWNIAN_VECTORS 1

namespace brownian::neon {

constexpr int N = 4;
constexpr int B_LANES = 16;
struct U {
  uint32x4_t v;
};
struct F {
  float32x4_t v;
};
struct B {
  uint8x16_t v;
};

inline U set1(uint32_t x) { return {vdupq_n_u32(x)}; }
inline F set1f(float x) { return {vdupq_n_f32(x)}; }
inline U load(const uint32_t* p) { return {vld1q_u32(p)}; }
inline void store(uint32_t* p, U a) { vst1q_u32(p, a.v); }
inline F as_float(U a) { return {vreinterpretq_f32_u32(a.v)}; }
inline U as_uint(F a) { return {vreinterpretq_u32_f32(a.v)}; }
inline U add(U a, U b) { return {vaddq_u32(a.v, b.v)}; }
inline U sub(U a, U b) { return {vsubq_u32(a.v, b.v)}; }
inline U band(U a, U b) { return {vandq_u32(a.v, b.v)}; }
inline U bor(U a, U b) { return {vorrq_u32(a.v, b.v)}; }
inline U bxor(U a, U b) { return {veorq_u32(a.v, b.v)}; }
inline U xor3(U a, U b, U c) { return bxor(a, bxor(b, c)); }
/// Keeps GCC from working a value out somewhere else than here.
#if defined(__GNUC__)
BROWNIAN_INLINE void here(U& a) { __asm__("" : "+w"(a.v)); }
BROWNIAN_INLINE void here(F& a) { __asm__("" : "+w"(a.v)); }
#else
BROWNIAN_INLINE void here(U&) {}
BROWNIAN_INLINE void here(F&) {}
#endif
template <int n>
inline U shl(U a) {
  return {vshlq_n_u32(a.v, n)};
}
template <int n>
inline U shr(U a) {
  return {vshrq_n_u32(a.v, n)};
}
template <int n>
inline U sar(U a) {
  return {vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a.v), n))};
}
/// high + 1 where sum < addend (unsigned): where sum = addend + something wrapped around.
inline U add_carry(U high, U sum, U addend) { return {vsubq_u32(high.v, vcltq_u32(sum.v, addend.v))}; }
/// Words as multiplication takes them.
using W = U;
inline W apart(U a) { return a; }
inline U together(W a) { return a; }
inline void mul_wide(U a, uint32_t m, U& high, U& low) {
  const uint32x4_t b = vdupq_n_u32(m);
  const uint32x4_t first = vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.v), vget_low_u32(b)));
  const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_u32(a.v, b));
  high.v = vuzp2q_u32(first, second);
  low.v = vuzp1q_u32(first, second);
}
inline F add(F a, F b) { return {vaddq_f32(a.v, b.v)}; }
inline F sub(F a, F b) { return {vsubq_f32(a.v, b.v)}; }
inline F mul(F a, F b) { return {vmulq_f32(a.v, b.v)}; }
inline F div(F a, F b) { return {vdivq_f32(a.v, b.v)}; }
inline F min(F a, F b) { return {vminq_f32(a.v, b.v)}; }
inline F max(F a, F b) { return {vmaxq_f32(a.v, b.v)}; }
inline F root(F a) { return {vsqrtq_f32(a.v)}; }
inline F from_int(U a) { return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.v))}; }
inline U to_int(F a) { return {vreinterpretq_u32_s32(vcvtq_s32_f32(a.v))}; }
/// Lane r holds block r: the interleaving store transposes.
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) { vst4q_u32(out, (uint32x4x4_t{{a.v, b.v, c.v, d.v}})); }
/// Whether lanes have a bit.
struct Mask {
  uint32x4_t all;
};
template <int bit>
inline Mask has_bit(U a) {
  return {vtstq_u32(a.v, vdupq_n_u32(1u << bit))};
}
inline F choose(Mask at, F yes, F no) { return {vbslq_f32(at.all, yes.v, no.v)}; }
/// -a where the top bit of `by` is set.
inline F turned(F a, U by) { return as_float(bxor(as_uint(a), band(by, set1(0x80000000)))); }
/// table[index], index < 16.
inline F lookup(const float* table, U index) {
  const float of[N] = {table[vgetq_lane_u32(index.v, 0)], table[vgetq_lane_u32(index.v, 1)], table[vgetq_lane_u32(index.v, 2)],
                       table[vgetq_lane_u32(index.v, 3)]};
  return {vld1q_f32(of)};
}
/// Saturated.
inline void store_i8(int8_t* out, U a) {
  const int16x4_t half = vqmovn_s32(vreinterpretq_s32_u32(a.v));
  const uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vqmovn_s16(vcombine_s16(half, half))), 0);
  memcpy(out, &four, 4);
}

inline B set1_b(uint8_t x) { return {vdupq_n_u8(x)}; }
inline B load_b(const uint8_t* p) { return {vld1q_u8(p)}; }
inline void store_b(uint8_t* p, B a) { vst1q_u8(p, a.v); }
inline B xor_b(B a, B b) { return {veorq_u8(a.v, b.v)}; }
inline B add_b(B a, B b) { return {vaddq_u8(a.v, b.v)}; }
inline B sub_b(B a, B b) { return {vsubq_u8(a.v, b.v)}; }
/// a - b, or 0 where that is negative.
inline B sub_floor_b(B a, B b) { return {vqsubq_u8(a.v, b.v)}; }
inline B min_b(B a, B b) { return {vminq_u8(a.v, b.v)}; }
inline B min_signed_b(B a, B b) { return {vreinterpretq_u8_s8(vminq_s8(vreinterpretq_s8_u8(a.v), vreinterpretq_s8_u8(b.v)))}; }
inline B max_signed_b(B a, B b) { return {vreinterpretq_u8_s8(vmaxq_s8(vreinterpretq_s8_u8(a.v), vreinterpretq_s8_u8(b.v)))}; }
/// Bytes as signed numbers; -128 stays.
inline B abs_b(B a) { return {vreinterpretq_u8_s8(vabsq_s8(vreinterpretq_s8_u8(a.v)))}; }
/// table[a], a < 16.
inline B lookup_b(const uint8_t* table, B a) { return {vqtbl1q_u8(vld1q_u8(table), a.v)}; }
inline B and_b(B a, B b) { return {vandq_u8(a.v, b.v)}; }
/// Each byte's upper half comes down.
inline B shr4_b(B a) { return {vshrq_n_u8(a.v, 4)}; }
/// Byte runs of kBytes, 16 or 32, that lie `stride` apart: here one, or the half of one.
template <int kBytes>
inline B load_strided(const uint8_t* p, size_t) {
  return load_b(p);
}
inline void store_strided_32(uint8_t* p, size_t, B a) { store_b(p, a); }
/// Lane g holds the sum of kTerms words, 4 or 8, from in[g * kTerms] on.
template <int kTerms>
inline U sums_of_words(const uint32_t* in) {
  const auto four = [&](int g) { return kTerms == 4 ? vld1q_u32(in + 4 * g) : vaddq_u32(vld1q_u32(in + 8 * g), vld1q_u32(in + 8 * g + 4)); };
  return {vpaddq_u32(vpaddq_u32(four(0), four(1)), vpaddq_u32(four(2), four(3)))};
}
/// Sums of eight unsigned bytes in every second lane, 0 in the others.
inline U sums_of_eight(B a) { return {vreinterpretq_u32_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(a.v))))}; }
/// Sums of four products of unsigned and signed bytes.
inline U dot_of_four(B a, B b) {
  const int8x16_t c = vreinterpretq_s8_u8(b.v);
  const int16x8_t low = vmulq_s16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(a.v))), vmovl_s8(vget_low_s8(c)));
  const int16x8_t high = vmulq_s16(vreinterpretq_s16_u16(vmovl_high_u8(a.v)), vmovl_high_s8(c));
  return {vreinterpretq_u32_s32(vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)))};
}
/// A bit for every byte that is not 0.
inline uint32_t nonzero_b(B a) {
  const uint8x16_t bits = vandq_u8(vtstq_u8(a.v, a.v), vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)));
  return uint32_t(vaddv_u8(vget_low_u8(bits))) | uint32_t(vaddv_u8(vget_high_u8(bits))) << 8;
}
inline size_t count_nonzero_b(B a) { return vaddvq_u8(vshrq_n_u8(vtstq_u8(a.v, a.v), 7)); }

/// a times factors of 16 bits, plus b, in signed bytes, saturated. The factors of a lane's sixteen are one.
inline B multiply_add(B a, B factor, B b) {
  const int8x16_t x = vreinterpretq_s8_u8(a.v), y = vreinterpretq_s8_u8(b.v);
  const int16x8_t by = vreinterpretq_s16_u8(factor.v);
  const int16x8_t low = vaddw_s8(vmulq_s16(vmovl_s8(vget_low_s8(x)), by), vget_low_s8(y));
  const int16x8_t high = vaddw_high_s8(vmulq_s16(vmovl_high_s8(x), by), y);
  return {vreinterpretq_u8_s8(vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)))};
}
/// No run of bytes is shorter than a vector.
template <int kRun>
B load_nibbles(const uint8_t* p, size_t stride);
template <int kRun>
void store_nibbles(uint8_t* p, size_t stride, B a);
inline B shl4_b(B a) { return {vshlq_n_u8(a.v, 4)}; }
using LaneTable = B;
/// The sixteen bytes at at(0): of groups of kGroup lanes, 16 or 32, a vector is one, or half of one.
template <int kGroup, class At>
inline B load_lanes(At at) {
  return {vld1q_u8(at(0))};
}
/// tables[a] of every lane's sixteen, a < 16.
inline B lookup_lanes(B tables, B a) { return {vqtbl1q_u8(tables.v, a.v)}; }
/// x < limit (signed) ? first : second.
inline B choose_less(B x, B limit, B first, B second) {
  return {vbslq_u8(vcltq_s8(vreinterpretq_s8_u8(x.v), vreinterpretq_s8_u8(limit.v)), first.v, second.v)};
}
/// -a where the fifth bit of `bits` is set.
inline B negate_at_16(B a, B bits) {
  const uint8x16_t turned = vtstq_u8(bits.v, vdupq_n_u8(16));
  return {vsubq_u8(veorq_u8(a.v, turned), turned)};
}
inline B or_b(B a, B b) { return {vorrq_u8(a.v, b.v)}; }
/// All ones where a < b (signed), or a = b.
inline B less_b(B a, B b) { return {vcltq_s8(vreinterpretq_s8_u8(a.v), vreinterpretq_s8_u8(b.v))}; }
inline B equal_b(B a, B b) { return {vceqq_u8(a.v, b.v)}; }
/// The lower and the upper bytes of words of 16 bits.
inline void load_halves(const uint16_t* p, B& low, B& high) {
  const uint8x16x2_t bytes = vld2q_u8(reinterpret_cast<const uint8_t*>(p));
  low.v = bytes.val[0];
  high.v = bytes.val[1];
}
/// The bytes of sixteen words: all first ones, then all second ones, third and fourth ones.
inline void store_byte_rows(uint8_t* rows, const uint32_t* words) {
  const uint8x16x4_t bytes = vld4q_u8(reinterpret_cast<const uint8_t*>(words));
  for (int row = 0; row < 4; row++) vst1q_u8(rows + 16 * row, bytes.val[row]);
}

}  // namespace brownian::neon
