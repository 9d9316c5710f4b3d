// 128-bit vectors: AArch64, where NEON is part of every processor. No flags of its own; on other processors this file is not compiled.
#include <arm_neon.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "../kernels/format.h"

namespace brownian {
namespace neon {

constexpr int N = 4;
constexpr int H_LANES = 8;
struct U {
  uint32x4_t v;
};
struct F {
  float32x4_t v;
};
struct H {
  int16x8_t v;
};

inline U set1(uint32_t x) { return {vdupq_n_u32(x)}; }
inline F set1f(float x) { return {vdupq_n_f32(x)}; }
inline U load(const uint32_t* p) { return {vld1q_u32(p)}; }
inline F as_float(U a) { return {vreinterpretq_f32_u32(a.v)}; }
inline U as_uint(F a) { return {vreinterpretq_u32_f32(a.v)}; }
inline U add(U a, U b) { return {vaddq_u32(a.v, b.v)}; }
inline U sub(U a, U b) { return {vsubq_u32(a.v, b.v)}; }
inline U band(U a, U b) { return {vandq_u32(a.v, b.v)}; }
inline U bxor(U a, U b) { return {veorq_u32(a.v, b.v)}; }
inline U xor3(U a, U b, U c) { return bxor(bxor(a, b), c); }
template <int n> inline U shl(U a) { return {vshlq_n_u32(a.v, n)}; }
template <int n> inline U shr(U a) { return {vshrq_n_u32(a.v, n)}; }
template <int n> inline U sar(U a) { return {vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(a.v), n))}; }
/// high + 1 where sum < addend (unsigned): where sum = addend + something wrapped around.
inline U add_carry(U high, U sum, U addend) { return {vsubq_u32(high.v, vcltq_u32(sum.v, addend.v))}; }
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
inline F root(F a) { return {vsqrtq_f32(a.v)}; }
inline F from_int(U a) { return {vcvtq_f32_s32(vreinterpretq_s32_u32(a.v))}; }
inline U to_int(F a) { return {vreinterpretq_u32_s32(vcvtq_s32_f32(a.v))}; }
/// Lane r holds block r: the interleaving store transposes.
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) { vst4q_u32(out, (uint32x4x4_t{{a.v, b.v, c.v, d.v}})); }
inline void store_i16(int16_t* out, U a) { vst1_s16(out, vqmovn_s32(vreinterpretq_s32_u32(a.v))); }

inline H set1_h(int16_t x) { return {vdupq_n_s16(x)}; }
inline H load_h(const uint16_t* p) { return {vreinterpretq_s16_u16(vld1q_u16(p))}; }
inline void store_h(int16_t* p, H a) { vst1q_s16(p, a.v); }
inline H and_h(H a, H b) { return {vandq_s16(a.v, b.v)}; }
inline H xor_h(H a, H b) { return {veorq_s16(a.v, b.v)}; }
inline H add_h(H a, H b) { return {vaddq_s16(a.v, b.v)}; }
inline H sub_h(H a, H b) { return {vsubq_s16(a.v, b.v)}; }
inline H min_h(H a, H b) { return {vminq_s16(a.v, b.v)}; }
inline H max_h(H a, H b) { return {vmaxq_s16(a.v, b.v)}; }
inline H sar15_h(H a) { return {vshrq_n_s16(a.v, 15)}; }
inline H count_less(H count, H a, H b) { return {vsubq_s16(count.v, vreinterpretq_s16_u16(vcltq_s16(a.v, b.v)))}; }
inline H or_equal(H open, H a, H b) { return {vorrq_s16(open.v, vreinterpretq_s16_u16(vceqq_s16(a.v, b.v)))}; }
inline bool any_h(H a) { return vmaxvq_u16(vreinterpretq_u16_s16(a.v)) != 0; }
inline H load_codes(const int8_t* p) { return {vmovl_s8(vld1_s8(p))}; }
inline void store_codes(int8_t* p, H a) { vst1_s8(p, vqmovn_s16(a.v)); }
inline size_t count_nonzero(H a) { return vaddvq_u16(vshrq_n_u16(vtstq_s16(a.v, a.v), 15)); }

#include "../kernels/all.inl.h"

}  // namespace neon

const Target kNeonTarget = {"neon", neon::bits, neon::uniform, neon::normal, neon::perturb, neon::sum_squares};

}  // namespace brownian
