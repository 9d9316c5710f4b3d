// AVX-512 on a processor that does not have it: SIMDe's plain C for the intrinsics that it knows (Debian: libsimde-dev), and the few that it
// lacks. Only scripts/check/avx512.mjs puts this folder on the include path: it is for comparing bytes, and slow.
#pragma once
#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cstdint>
#include <cstring>

using __mmask16 = simde__mmask16;
constexpr int _MM_PERM_CCAA = 0xa0;

/// A vector as an array.
template <class T, class V>
struct EmulatedLanes {
  static constexpr int n = int(sizeof(V) / sizeof(T));
  T of[sizeof(V) / sizeof(T)];

  EmulatedLanes() = default;
  explicit EmulatedLanes(V v) { memcpy(of, &v, sizeof(V)); }
  template <class To>
  To as() const {
    To to;
    static_assert(sizeof(To) == sizeof(of), "lanes of another vector");
    memcpy(&to, of, sizeof(to));
    return to;
  }
};

inline simde__m512i _mm512_srai_epi32(simde__m512i a, unsigned n) {
  EmulatedLanes<int32_t, simde__m512i> x(a);
  for (int32_t& lane : x.of) lane >>= n < 31 ? n : 31;
  return x.as<simde__m512i>();
}
inline __mmask16 _mm512_cmplt_epu32_mask(simde__m512i a, simde__m512i b) {
  const EmulatedLanes<uint32_t, simde__m512i> x(a), y(b);
  unsigned mask = 0;
  for (int i = 0; i < 16; i++) mask |= unsigned(x.of[i] < y.of[i]) << i;
  return __mmask16(mask);
}
inline simde__m512i _mm512_mask_shuffle_epi32(simde__m512i src, __mmask16 mask, simde__m512i a, int order) {
  EmulatedLanes<uint32_t, simde__m512i> to(src);
  const EmulatedLanes<uint32_t, simde__m512i> from(a);
  for (int i = 0; i < 16; i++) {
    if (mask >> i & 1) to.of[i] = from.of[(i & ~3) + (order >> (2 * (i & 3)) & 3)];
  }
  return to.as<simde__m512i>();
}
inline simde__m512 _mm512_cvtepi32_ps(simde__m512i a) {
  const EmulatedLanes<int32_t, simde__m512i> x(a);
  EmulatedLanes<float, simde__m512> y;
  for (int i = 0; i < 16; i++) y.of[i] = float(x.of[i]);
  return y.as<simde__m512>();
}
inline simde__m512i _mm512_cvttps_epi32(simde__m512 a) {
  const EmulatedLanes<float, simde__m512> x(a);
  EmulatedLanes<int32_t, simde__m512i> y;
  for (int i = 0; i < 16; i++) y.of[i] = x.of[i] >= -2147483648.0f && x.of[i] < 2147483648.0f ? int32_t(x.of[i]) : INT32_MIN;
  return y.as<simde__m512i>();
}
#undef _mm512_madd_epi16
inline simde__m512i _mm512_madd_epi16(simde__m512i a, simde__m512i b) {
  const EmulatedLanes<int16_t, simde__m512i> x(a), y(b);
  EmulatedLanes<int32_t, simde__m512i> z;
  for (int i = 0; i < 16; i++) z.of[i] = x.of[2 * i] * y.of[2 * i] + x.of[2 * i + 1] * y.of[2 * i + 1];
  return z.as<simde__m512i>();
}
inline int64_t _mm_popcnt_u64(uint64_t x) { return __builtin_popcountll(x); }
