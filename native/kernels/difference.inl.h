// How many codes differ between two states of the same weights: the counterpart of src/laws/difference.ts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codes.inl.h"
#include "format.h"

namespace brownian::BROWNIAN_TARGET {

template <class Word>
inline size_t different_words(const uint8_t* a, const uint8_t* b, size_t n) {
  size_t different = 0;
  for (size_t i = 0; i < n; i++) {
    Word x, y;
    memcpy(&x, a + i * sizeof(Word), sizeof(Word));
    memcpy(&y, b + i * sizeof(Word), sizeof(Word));
    different += x != y;
  }
  return different;
}

inline size_t difference(const uint8_t* a, const uint8_t* b, size_t bytes, const int32_t* format) {
  const size_t weights = format[kWeights], block_bytes = format[kBytes], blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  if (format[kKind] == kF32) return different_words<uint32_t>(a, b, blocks);
  if (format[kKind] == kE4m3 || format[kKind] == kE5m2) return different_words<uint8_t>(a, b, blocks);
  if (format[kKind] != kLattice) return different_words<uint16_t>(a, b, blocks);
  alignas(64) uint8_t codes_a[kTile], codes_b[kTile];
  size_t different = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    unpack(codes_a, a + block * block_bytes, count, format);
    unpack(codes_b, b + block * block_bytes, count, format);
    different += different_words<uint8_t>(codes_a, codes_b, count * weights);
  }
  return different;
}

}  // namespace brownian::BROWNIAN_TARGET
