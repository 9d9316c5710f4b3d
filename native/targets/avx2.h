// 256-bit vectors: x86-64 with AVX2. Compiled with -mavx2; called only where CPUID and XCR0 allow it (dispatch.cc).
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../kernels/format.h"

/// The namespace of this target, and whether its vectors have more than one lane.
#define BROWNIAN_TARGET avx2
#define BROWNIAN_VECTORS 1

namespace brownian::avx2 {

constexpr int N = 8;
constexpr int B_LANES = 32;
struct U {
  __m256i v;
};
struct F {
  __m256 v;
};
struct B {
  __m256i v;
};

inline U set1(uint32_t x) { return {_mm256_set1_epi32(int(x))}; }
inline F set1f(float x) { return {_mm256_set1_ps(x)}; }
inline U load(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline F as_float(U a) { return {_mm256_castsi256_ps(a.v)}; }
inline U as_uint(F a) { return {_mm256_castps_si256(a.v)}; }
inline U add(U a, U b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline U sub(U a, U b) { return {_mm256_sub_epi32(a.v, b.v)}; }
inline U band(U a, U b) { return {_mm256_and_si256(a.v, b.v)}; }
inline U bor(U a, U b) { return {_mm256_or_si256(a.v, b.v)}; }
inline U bxor(U a, U b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline void store(uint32_t* p, U a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
template <int n>
inline U shl(U a) {
  return {_mm256_slli_epi32(a.v, n)};
}
template <int n>
inline U shr(U a) {
  return {_mm256_srli_epi32(a.v, n)};
}
template <int n>
inline U sar(U a) {
  return {_mm256_srai_epi32(a.v, n)};
}
/// high + 1 where sum < addend (unsigned): where sum = addend + something wrapped around.
inline U add_carry(U high, U sum, U addend) {
  const __m256i flip = _mm256_set1_epi32(int(0x80000000u));
  return {_mm256_sub_epi32(high.v, _mm256_cmpgt_epi32(_mm256_xor_si256(addend.v, flip), _mm256_xor_si256(sum.v, flip)))};
}
/// Keeps GCC from working a value out somewhere else than here.
#if defined(__GNUC__)
BROWNIAN_INLINE void here(U& a) { __asm__("" : "+x"(a.v)); }
BROWNIAN_INLINE void here(F& a) { __asm__("" : "+x"(a.v)); }
#else
BROWNIAN_INLINE void here(U&) {}
BROWNIAN_INLINE void here(F&) {}
#endif
/// Words as multiplication takes them.
using W = U;
inline W apart(U a) { return a; }
inline U together(W a) { return a; }
/// Products have the middle two lanes of four in each other's place: one shuffle of two vectors does what a shift and a blend would do.
inline void mul_wide(W a, uint32_t m, W& high, W& low) {
  const __m256i b = _mm256_set1_epi64x(m);
  const __m256 even = _mm256_castsi256_ps(_mm256_mul_epu32(a.v, b));
  const __m256 odd = _mm256_castsi256_ps(_mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), b));
  high.v = _mm256_castps_si256(_mm256_shuffle_ps(even, odd, 0xdd));
  low.v = _mm256_castps_si256(_mm256_shuffle_ps(even, odd, 0x88));
}
/// `a` is the upper word of a product, b one product older; so after ten rounds lanes are where they were. GCC would do a ^ b first, for
/// which b is ready, but a is not.
inline W xor3(W a, W b, U c) {
  U t = {_mm256_xor_si256(_mm256_shuffle_epi32(b.v, 0xd8), c.v)};
  here(t);
  return bxor(a, t);
}
inline F add(F a, F b) { return {_mm256_add_ps(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm256_div_ps(a.v, b.v)}; }
inline F min(F a, F b) { return {_mm256_min_ps(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm256_max_ps(a.v, b.v)}; }
inline F root(F a) { return {_mm256_sqrt_ps(a.v)}; }
inline F from_int(U a) { return {_mm256_cvtepi32_ps(a.v)}; }
inline U to_int(F a) { return {_mm256_cvttps_epi32(a.v)}; }
/// Lane 4g + r holds block 2r + g: transposed within 128-bit groups, rows come out in the order of blocks.
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) {
  const __m256i ab_lo = _mm256_unpacklo_epi32(a.v, b.v), ab_hi = _mm256_unpackhi_epi32(a.v, b.v);
  const __m256i cd_lo = _mm256_unpacklo_epi32(c.v, d.v), cd_hi = _mm256_unpackhi_epi32(c.v, d.v);
  __m256i* to = reinterpret_cast<__m256i*>(out);
  _mm256_storeu_si256(to, _mm256_unpacklo_epi64(ab_lo, cd_lo));
  _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi64(ab_lo, cd_lo));
  _mm256_storeu_si256(to + 2, _mm256_unpacklo_epi64(ab_hi, cd_hi));
  _mm256_storeu_si256(to + 3, _mm256_unpackhi_epi64(ab_hi, cd_hi));
}
/// Whether lanes have a bit.
struct Mask {
  __m256i top;
};
template <int bit>
inline Mask has_bit(U a) {
  U top = shl<31 - bit>(a);
  here(top);  // or GCC compares with 0, though choosing looks at top bits only
  return {top.v};
}
inline F choose(Mask at, F yes, F no) { return {_mm256_blendv_ps(no.v, yes.v, _mm256_castsi256_ps(at.top))}; }
/// -a where the top bit of `by` is set.
inline F turned(F a, U by) { return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(band(by, set1(0x80000000)).v))}; }
/// table[index], index < 16.
inline F lookup(const float* table, U index) {
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index.v), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index.v);
  return {_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index.v, 28)))};
}
/// Saturated.
inline void store_i8(int8_t* out, U a) {
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packs_epi16(halves, halves));
}

inline B set1_b(uint8_t x) { return {_mm256_set1_epi8(char(x))}; }
inline B load_b(const uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline void store_b(uint8_t* p, B a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v); }
inline B xor_b(B a, B b) { return {_mm256_xor_si256(a.v, b.v)}; }
inline B add_b(B a, B b) { return {_mm256_add_epi8(a.v, b.v)}; }
inline B sub_b(B a, B b) { return {_mm256_sub_epi8(a.v, b.v)}; }
/// a - b, or 0 where that is negative.
inline B sub_floor_b(B a, B b) { return {_mm256_subs_epu8(a.v, b.v)}; }
inline B min_b(B a, B b) { return {_mm256_min_epu8(a.v, b.v)}; }
inline B min_signed_b(B a, B b) { return {_mm256_min_epi8(a.v, b.v)}; }
inline B max_signed_b(B a, B b) { return {_mm256_max_epi8(a.v, b.v)}; }
/// Bytes as signed numbers; -128 stays.
inline B abs_b(B a) { return {_mm256_abs_epi8(a.v)}; }
/// table[a], a < 16.
inline B lookup_b(const uint8_t* table, B a) {
  return {_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), a.v)};
}
inline B and_b(B a, B b) { return {_mm256_and_si256(a.v, b.v)}; }
/// Each byte's upper half comes down; what is above it is not defined.
inline B shr4_b(B a) { return {_mm256_srli_epi16(a.v, 4)}; }
/// Byte runs of kBytes, 16 or 32, that lie `stride` apart.
template <int kBytes>
inline B load_strided(const uint8_t* p, size_t stride) {
  if (kBytes == 32) return load_b(p);
  const auto at = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * stride)); };
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(at(0)), at(1), 1)};
}
inline void store_strided_32(uint8_t* p, size_t, B a) { store_b(p, a); }
/// Lane g holds the sum of kTerms words, 4 or 8, from in[g * kTerms] on.
template <int kTerms>
inline U sums_of_words(const uint32_t* in) {
  const auto pair = [&](int i) { return _mm256_hadd_epi32(load(in + 16 * i).v, load(in + 16 * i + 8).v); };
  const __m256i a = _mm256_hadd_epi32(pair(0), pair(1));
  if constexpr (kTerms == 4) return {_mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))};
  else {
    const __m256i b = _mm256_hadd_epi32(pair(2), pair(3));
    return {_mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31))};
  }
}
/// Sums of eight unsigned bytes in every second lane, 0 in the others.
inline U sums_of_eight(B a) { return {_mm256_sad_epu8(a.v, _mm256_setzero_si256())}; }
/// Sums of four products of unsigned and signed bytes; two of them must fit into 16 bits.
inline U dot_of_four(B a, B b) { return {_mm256_madd_epi16(_mm256_maddubs_epi16(a.v, b.v), _mm256_set1_epi16(1))}; }
/// A bit for every byte that is not 0.
inline uint32_t nonzero_b(B a) { return ~uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a.v, _mm256_setzero_si256()))); }
inline size_t count_nonzero_b(B a) { return size_t(_mm_popcnt_u32(nonzero_b(a))); }

/// a times factors of 16 bits, plus b, in signed bytes, saturated. The factors of a lane's sixteen are one.
inline B multiply_add(B a, B factor, B b) {
  const auto low = [](B x) { return _mm256_srai_epi16(_mm256_unpacklo_epi8(x.v, x.v), 8); };
  const auto high = [](B x) { return _mm256_srai_epi16(_mm256_unpackhi_epi8(x.v, x.v), 8); };
  return {_mm256_packs_epi16(_mm256_add_epi16(_mm256_mullo_epi16(low(a), factor.v), low(b)),
                             _mm256_add_epi16(_mm256_mullo_epi16(high(a), factor.v), high(b)))};
}
inline B shl4_b(B a) { return {_mm256_slli_epi16(a.v, 4)}; }
/// kRun bytes, and the same shifted down by four.
template <int kRun>
inline B load_nibbles(const uint8_t* p, size_t) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1)};
}
template <int kRun>
inline void store_nibbles(uint8_t* p, size_t, B a) {
  const __m128i low = _mm256_castsi256_si128(a.v), high = _mm256_extracti128_si256(a.v, 1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_or_si128(low, _mm_slli_epi16(high, 4)));
}
using LaneTable = B;
/// The sixteen bytes at each of at(0), at(1), ...: one of them for every kGroup lanes, 16 or 32.
template <int kGroup, class At>
inline B load_lanes(At at) {
  const auto two = [](const uint8_t* p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); };
  if constexpr (kGroup == 32) return {two(at(0))};
  else return {_mm256_blend_epi32(two(at(0)), two(at(1)), 0xf0)};
}
/// tables[a] of every lane's sixteen, a < 16.
inline B lookup_lanes(B tables, B a) { return {_mm256_shuffle_epi8(tables.v, a.v)}; }
/// x < limit (signed) ? first : second.
inline B choose_less(B x, B limit, B first, B second) { return {_mm256_blendv_epi8(second.v, first.v, _mm256_cmpgt_epi8(limit.v, x.v))}; }
/// -a where the fifth bit of `bits` is set.
inline B negate_at_16(B a, B bits) { return {_mm256_sign_epi8(a.v, _mm256_or_si256(_mm256_slli_epi16(bits.v, 3), _mm256_set1_epi8(1)))}; }
inline B or_b(B a, B b) { return {_mm256_or_si256(a.v, b.v)}; }
/// All ones where a < b (signed), or a = b.
inline B less_b(B a, B b) { return {_mm256_cmpgt_epi8(b.v, a.v)}; }
inline B equal_b(B a, B b) { return {_mm256_cmpeq_epi8(a.v, b.v)}; }
/// The lower and the upper bytes of words of 16 bits.
inline void load_halves(const uint16_t* p, B& low, B& high) {
  const __m256i *from = reinterpret_cast<const __m256i*>(p), mask = _mm256_set1_epi16(0xff);
  const __m256i a = _mm256_loadu_si256(from), b = _mm256_loadu_si256(from + 1);
  low.v = _mm256_permute4x64_epi64(_mm256_packus_epi16(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask)), 0xd8);
  high.v = _mm256_permute4x64_epi64(_mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)), 0xd8);
}
/// The bytes of sixteen words: all first ones, then all second ones, third and fourth ones.
inline void store_byte_rows(uint8_t* rows, const uint32_t* words) {
  const __m256i fours = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m256i order = _mm256_setr_epi32(0, 4, 2, 6, 1, 5, 3, 7);
  const auto eight = [&](const uint32_t* p) { return _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load(p).v, fours), order); };
  const __m256i a = eight(words), b = eight(words + 8);
  __m256i* const to = reinterpret_cast<__m256i*>(rows);
  _mm256_storeu_si256(to, _mm256_unpacklo_epi64(a, b));
  _mm256_storeu_si256(to + 1, _mm256_unpackhi_epi64(a, b));
}

}  // namespace brownian::avx2
