// 512-bit vectors: x86-64 with AVX-512 F, BW, DQ and VL. Called only where CPUID and XCR0 allow it (dispatch.cc).
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../kernels/format.h"

/// The namespace of this target, and whether its vectors have more than one lane.
#define BROWNIAN_TARGET avx512
#define BROWNIAN_VECTORS 1

namespace brownian::avx512 {

constexpr int N = 16;
constexpr int B_LANES = 64;
struct U {
  __m512i v;
};
struct F {
  __m512 v;
};
struct B {
  __m512i v;
};

inline U set1(uint32_t x) { return {_mm512_set1_epi32(int(x))}; }
inline F set1f(float x) { return {_mm512_set1_ps(x)}; }
inline U load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
inline F as_float(U a) { return {_mm512_castsi512_ps(a.v)}; }
inline U as_uint(F a) { return {_mm512_castps_si512(a.v)}; }
inline U add(U a, U b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline U sub(U a, U b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline U band(U a, U b) { return {_mm512_and_si512(a.v, b.v)}; }
inline U bor(U a, U b) { return {_mm512_or_si512(a.v, b.v)}; }
inline U bxor(U a, U b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline void store(uint32_t* p, U a) { _mm512_storeu_si512(p, a.v); }
template <int n>
inline U shl(U a) {
  return {_mm512_slli_epi32(a.v, n)};
}
template <int n>
inline U shr(U a) {
  return {_mm512_srli_epi32(a.v, n)};
}
template <int n>
inline U sar(U a) {
  return {_mm512_srai_epi32(a.v, n)};
}
/// high + 1 where sum < addend (unsigned): where sum = addend + something wrapped around.
inline U add_carry(U high, U sum, U addend) {
  return {_mm512_mask_add_epi32(high.v, _mm512_cmplt_epu32_mask(sum.v, addend.v), high.v, _mm512_set1_epi32(1))};
}
/// Keeps GCC from working a value out somewhere else than here. Emulated vectors (native/emulated) are no registers.
#if defined(__GNUC__) && defined(__AVX512F__)
BROWNIAN_INLINE void here(U& a) { __asm__("" : "+v"(a.v)); }
BROWNIAN_INLINE void here(F& a) { __asm__("" : "+v"(a.v)); }
#else
BROWNIAN_INLINE void here(U&) {}
BROWNIAN_INLINE void here(F&) {}
#endif
/// Words as multiplication takes them: the even lanes, and the odd ones moved down. What is above a word is not defined.
struct W {
  __m512i even, odd;
};
inline W apart(U a) { return {a.v, _mm512_srli_epi64(a.v, 32)}; }
inline U together(W a) { return {_mm512_mask_shuffle_epi32(a.even, 0xaaaa, a.odd, _MM_PERM_CCAA)}; }
inline void mul_wide(W a, uint32_t m, W& high, W& low) {
  const __m512i b = _mm512_set1_epi64(m);
  low = {_mm512_mul_epu32(a.even, b), _mm512_mul_epu32(a.odd, b)};
  high = {_mm512_srli_epi64(low.even, 32), _mm512_srli_epi64(low.odd, 32)};
}
inline W xor3(W a, W b, U c) { return {_mm512_ternarylogic_epi32(a.even, b.even, c.v, 0x96), _mm512_ternarylogic_epi32(a.odd, b.odd, c.v, 0x96)}; }
inline F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F div(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
inline F min(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F max(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F root(F a) { return {_mm512_sqrt_ps(a.v)}; }
inline F from_int(U a) { return {_mm512_cvtepi32_ps(a.v)}; }
inline U to_int(F a) { return {_mm512_cvttps_epi32(a.v)}; }
/// Lane 4g + r holds block 4r + g: transposed within 128-bit groups, rows come out in the order of blocks.
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) {
  const __m512i ab_lo = _mm512_unpacklo_epi32(a.v, b.v), ab_hi = _mm512_unpackhi_epi32(a.v, b.v);
  const __m512i cd_lo = _mm512_unpacklo_epi32(c.v, d.v), cd_hi = _mm512_unpackhi_epi32(c.v, d.v);
  _mm512_storeu_si512(out, _mm512_unpacklo_epi64(ab_lo, cd_lo));
  _mm512_storeu_si512(out + 16, _mm512_unpackhi_epi64(ab_lo, cd_lo));
  _mm512_storeu_si512(out + 32, _mm512_unpacklo_epi64(ab_hi, cd_hi));
  _mm512_storeu_si512(out + 48, _mm512_unpackhi_epi64(ab_hi, cd_hi));
}
/// Whether lanes have a bit.
struct Mask {
  __mmask16 at;
};
template <int bit>
inline Mask has_bit(U a) {
  return {_mm512_test_epi32_mask(a.v, _mm512_set1_epi32(int(1u << bit)))};
}
inline F choose(Mask where, F yes, F no) { return {_mm512_mask_blend_ps(where.at, no.v, yes.v)}; }
/// -a where the top bit of `by` is set.
inline F turned(F a, U by) {
  return {_mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(a.v), by.v, _mm512_set1_epi32(int(0x80000000u)), 0x78))};
}
/// table[index], index < 16.
inline F lookup(const float* table, U index) { return {_mm512_permutexvar_ps(index.v, _mm512_loadu_ps(table))}; }
/// Saturated.
inline void store_i8(int8_t* out, U a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtsepi32_epi8(a.v)); }

inline B set1_b(uint8_t x) { return {_mm512_set1_epi8(char(x))}; }
inline B load_b(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store_b(uint8_t* p, B a) { _mm512_storeu_si512(p, a.v); }
inline B xor_b(B a, B b) { return {_mm512_xor_si512(a.v, b.v)}; }
inline B add_b(B a, B b) { return {_mm512_add_epi8(a.v, b.v)}; }
inline B sub_b(B a, B b) { return {_mm512_sub_epi8(a.v, b.v)}; }
/// a - b, or 0 where that is negative.
inline B sub_floor_b(B a, B b) { return {_mm512_subs_epu8(a.v, b.v)}; }
inline B min_b(B a, B b) { return {_mm512_min_epu8(a.v, b.v)}; }
inline B min_signed_b(B a, B b) { return {_mm512_min_epi8(a.v, b.v)}; }
inline B max_signed_b(B a, B b) { return {_mm512_max_epi8(a.v, b.v)}; }
/// Bytes as signed numbers; -128 stays.
inline B abs_b(B a) { return {_mm512_abs_epi8(a.v)}; }
/// table[a], a < 16.
inline B lookup_b(const uint8_t* table, B a) {
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), a.v)};
}
inline B and_b(B a, B b) { return {_mm512_and_si512(a.v, b.v)}; }
/// Each byte's upper half comes down; what is above it is not defined.
inline B shr4_b(B a) { return {_mm512_srli_epi16(a.v, 4)}; }
/// Byte runs of kBytes, 16 or 32, that lie `stride` apart.
template <int kBytes>
inline B load_strided(const uint8_t* p, size_t stride) {
  if constexpr (kBytes == 32) {
    const __m256i* a = reinterpret_cast<const __m256i*>(p);
    const __m256i* b = reinterpret_cast<const __m256i*>(p + stride);
    return {_mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(a)), _mm256_loadu_si256(b), 1)};
  } else {
    const auto at = [&](size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + i * stride)); };
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(at(0)), at(1), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(at(2)), at(3), 1);
    return {_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1)};
  }
}
inline void store_strided_32(uint8_t* p, size_t stride, B a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(a.v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + stride), _mm512_extracti64x4_epi64(a.v, 1));
}
/// Lane g holds the sum of kTerms words, 4 or 8, from in[g * kTerms] on.
template <int kTerms>
inline U sums_of_words(const uint32_t* in) {
  const auto eight = [](const uint32_t* from) {
    const auto at = [&](int i) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 8 * i)); };
    const auto pair = [&](int i) { return _mm256_hadd_epi32(at(2 * i), at(2 * i + 1)); };
    const __m256i a = _mm256_hadd_epi32(pair(0), pair(1));
    if constexpr (kTerms == 4) return _mm256_permutevar8x32_epi32(a, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    else {
      const __m256i b = _mm256_hadd_epi32(pair(2), pair(3));
      return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    }
  };
  return {_mm512_inserti64x4(_mm512_castsi256_si512(eight(in)), eight(in + 8 * kTerms), 1)};
}
/// Sums of eight unsigned bytes in every second lane, 0 in the others.
inline U sums_of_eight(B a) { return {_mm512_sad_epu8(a.v, _mm512_setzero_si512())}; }
/// Sums of four products of unsigned and signed bytes; two of them must fit into 16 bits.
inline U dot_of_four(B a, B b) { return {_mm512_madd_epi16(_mm512_maddubs_epi16(a.v, b.v), _mm512_set1_epi16(1))}; }
/// A bit for every byte that is not 0.
inline uint64_t nonzero_b(B a) { return _mm512_test_epi8_mask(a.v, a.v); }
inline size_t count_nonzero_b(B a) { return size_t(_mm_popcnt_u64(_mm512_test_epi8_mask(a.v, a.v))); }

/// a times factors of 16 bits, plus b, in signed bytes, saturated. The factors of a lane's sixteen are one.
inline B multiply_add(B a, B factor, B b) {
  const auto low = [](B x) { return _mm512_srai_epi16(_mm512_unpacklo_epi8(x.v, x.v), 8); };
  const auto high = [](B x) { return _mm512_srai_epi16(_mm512_unpackhi_epi8(x.v, x.v), 8); };
  return {_mm512_packs_epi16(_mm512_add_epi16(_mm512_mullo_epi16(low(a), factor.v), low(b)),
                             _mm512_add_epi16(_mm512_mullo_epi16(high(a), factor.v), high(b)))};
}
inline B shl4_b(B a) { return {_mm512_slli_epi16(a.v, 4)}; }
/// Runs of kRun bytes, 32 or two of 16, each followed by the same shifted down by four.
template <int kRun>
inline B load_nibbles(const uint8_t* p, size_t stride) {
  if constexpr (kRun == 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_inserti64x4(_mm512_castsi256_si512(bytes), _mm256_srli_epi16(bytes, 4), 1)};
  } else {
    const auto half = [](const uint8_t* at) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
      return _mm256_inserti128_si256(_mm256_castsi128_si256(bytes), _mm_srli_epi16(bytes, 4), 1);
    };
    return {_mm512_inserti64x4(_mm512_castsi256_si512(half(p)), half(p + stride), 1)};
  }
}
template <int kRun>
inline void store_nibbles(uint8_t* p, size_t stride, B a) {
  const __m256i low = _mm512_castsi512_si256(a.v), high = _mm512_extracti64x4_epi64(a.v, 1);
  if constexpr (kRun == 32) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(low, _mm256_slli_epi16(high, 4)));
  } else {
    const auto half = [](uint8_t* at, __m256i codes) {
      const __m128i up = _mm_slli_epi16(_mm256_extracti128_si256(codes, 1), 4);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_or_si128(_mm256_castsi256_si128(codes), up));
    };
    half(p, low);
    half(p + stride, high);
  }
}
using LaneTable = B;
/// The sixteen bytes at each of at(0), at(1), ...: one of them for every kGroup lanes, 16 or 32.
template <int kGroup, class At>
inline B load_lanes(At at) {
  const auto four = [](const uint8_t* p) { return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); };
  const auto lanes = [](__m512i into, __mmask16 where, const uint8_t* p) {
    return _mm512_mask_broadcast_i32x4(into, where, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  };
  if constexpr (kGroup == 32) return {lanes(four(at(0)), 0xff00, at(1))};
  else return {lanes(lanes(lanes(four(at(0)), 0x00f0, at(1)), 0x0f00, at(2)), 0xf000, at(3))};
}
/// tables[a] of every lane's sixteen, a < 16.
inline B lookup_lanes(B tables, B a) { return {_mm512_shuffle_epi8(tables.v, a.v)}; }
/// x < limit (signed) ? first : second.
inline B choose_less(B x, B limit, B first, B second) { return {_mm512_mask_blend_epi8(_mm512_cmplt_epi8_mask(x.v, limit.v), second.v, first.v)}; }
/// -a where the fifth bit of `bits` is set.
inline B negate_at_16(B a, B bits) {
  return {_mm512_mask_sub_epi8(a.v, _mm512_test_epi8_mask(bits.v, _mm512_set1_epi8(16)), _mm512_setzero_si512(), a.v)};
}
inline B or_b(B a, B b) { return {_mm512_or_si512(a.v, b.v)}; }
/// All ones where a < b (signed), or a = b.
inline B less_b(B a, B b) { return {_mm512_movm_epi8(_mm512_cmplt_epi8_mask(a.v, b.v))}; }
inline B equal_b(B a, B b) { return {_mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a.v, b.v))}; }
/// The lower and the upper bytes of words of 16 bits.
inline void load_halves(const uint16_t* p, B& low, B& high) {
  const __m512i a = _mm512_loadu_si512(p), b = _mm512_loadu_si512(p + 32);
  const auto both = [](__m256i first, __m256i second) { return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1); };
  low.v = both(_mm512_cvtepi16_epi8(a), _mm512_cvtepi16_epi8(b));
  high.v = both(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8)), _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)));
}
/// The bytes of sixteen words: all first ones, then all second ones, third and fourth ones.
inline void store_byte_rows(uint8_t* rows, const uint32_t* words) {
  const __m512i fours = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  _mm512_storeu_si512(rows, _mm512_permutexvar_epi32(order, _mm512_shuffle_epi8(_mm512_loadu_si512(words), fours)));
}

}  // namespace brownian::avx512
