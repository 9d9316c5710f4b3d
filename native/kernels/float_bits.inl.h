// The bits of numbers.
#pragma once
#include <cstdint>
#include <cstring>

#include "format.h"

namespace brownian::BROWNIAN_TARGET {

inline uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float bits_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

inline int trailing_zeros(uint64_t x) {
#if defined(__GNUC__)
  return __builtin_ctzll(x);
#else
  int n = 0;
  for (; (x & 1) == 0; x >>= 1) n++;
  return n;
#endif
}

inline int count_bits(uint64_t x) {
#if defined(__GNUC__)
  return __builtin_popcountll(x);
#else
  int n = 0;
  for (; x != 0; x &= x - 1) n++;
  return n;
#endif
}

}  // namespace brownian::BROWNIAN_TARGET
