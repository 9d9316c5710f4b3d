// How `relax` pulls codes on an even grid whose runs have one kick each, light and heavy noise: the counterpart of src/laws/pulls.ts, which holds
// the formulas. The kicks themselves are plain moves (lattice.inl.h, rows.inl.h) of the scale that kick_scale gives.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "draws.inl.h"
#include "laws.inl.h"
#include "put_moves.inl.h"

namespace brownian::BROWNIAN_TARGET {

enum class Pull { light, heavy, middle };

/// How a run with noise of s steps is pulled.
inline Pull pull_of(float s, const float* decay) {
  const float square = s * s;
  return square < kLightSquare ? Pull::light : decay[1] * square >= kHeavySquare ? Pull::heavy : Pull::middle;
}

/// Which of 64 codes are displaced and have the byte that does not decide.
inline uint64_t undecided(const uint8_t* codes, const uint8_t* from, const uint8_t* bytes, int high) {
  const B same = set1_b(uint8_t(high));
  uint64_t set = 0;
  for (size_t i = 0; i < 64; i += B_LANES) {
    const B moved = xor_b(load_b(codes + i), load_b(from + i)), equal = xor_b(load_b(bytes + i), same);
    set |= (uint64_t(nonzero_b(moved)) & ~uint64_t(nonzero_b(equal))) << i;
  }
  return set;
}

/// Codes[0, n) stay with probability a, else become those in `from`. `start`: of the first, in the tile.
inline void forget(uint8_t* codes, const uint8_t* from, size_t start, size_t n, float a, Draws& draws) {
  const float threshold = 256.0f * a;
  const int high = int(threshold);
  const uint32_t low = uint32_t((threshold - float(high)) * 4294967296.0f);
  const uint8_t* const bytes = draws.stays() + start;
  const B upper = set1_b(0x80), most = set1_b(uint8_t(high ^ 0x80));  // comparisons are signed
  size_t i = 0;
  for (; i + 64 <= n; i += 64) {
    uint64_t open = undecided(codes + i, from + i, bytes + i, high);
    for (size_t j = i; j < i + 64; j += B_LANES)
      store_b(codes + j, choose_less(most, xor_b(load_b(bytes + j), upper), load_b(from + j), load_b(codes + j)));
    for (; open != 0; open &= open - 1) {
      const size_t j = i + size_t(trailing_zeros(open));
      if (!(draws.refine(start + j) < low)) codes[j] = from[j];
    }
  }
  for (; i < n; i++) {
    if (codes[i] == from[i] || bytes[i] < high || (bytes[i] == high && draws.refine(start + i) < low)) continue;
    codes[i] = from[i];
  }
}

/// Codes[0, n) pulled by a and dithered; rounded stochastically where rails are too near for it.
#if defined(__GNUC__)
__attribute__((noinline))  // or what cannot overlap is forgotten, and it is no loop of vectors
#endif
inline void dither(uint8_t* __restrict codes, const uint8_t* __restrict from, size_t start, size_t n, float a, const Rails& rails, Draws& draws) {
  const int lo = rails.lo, hi = rails.hi, flip = rails.flip;
  const uint32_t* const __restrict words = draws.pulls() + start;
  for (size_t i = 0; i < n; i++) {
    // Choices are masks, which compilers make vectors of.
    const int p = from[i] ^ flip, k = int(codes[i] ^ flip) - p, back = -int(k < 0);
    const float x = a * float((k ^ back) - back);
    const uint32_t word = words[i];
    const float y = x + float(int(word >> 16) - int(word & 0xffff)) * 1.52587890625e-5f;
    const int size = int(std::fabs(y) + 0.5f), below = -int(y < 0.0f), dithered = (size ^ below) - below;
    const int whole = int(x), rounded = whole + int(float(int32_t(word >> 8)) * 5.9604644775390625e-8f < x - float(whole));
    const int low = p - lo, high = hi - p, nearer = low < high ? low : high, room = -int(float(nearer) >= x + 1.5f);
    const int pulled = (dithered & room) | (rounded & ~room);
    codes[i] = uint8_t((p + ((pulled ^ back) - back)) ^ flip);
  }
}

}  // namespace brownian::BROWNIAN_TARGET
