// The evolution `mirror`: every code k steps from its pristine one goes to -k. The counterpart of src/laws/mirror.ts.
#pragma once
#include <cstddef>
#include <cstdint>

#include "codes.inl.h"
#include "displacements.inl.h"
#include "format.h"
#include "put_moves.inl.h"

namespace brownian::BROWNIAN_TARGET {

inline size_t mirror(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float*, const LawTable&) {
  const int32_t* format = move.format;
  const size_t weights = size_t(format[kWeights]), block_bytes = size_t(format[kBytes]), blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  const int flip = Rails(format).flip;
  alignas(64) uint8_t to[kTile], from[kTile];
  alignas(64) int32_t k[kTile];
  size_t changed = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block, n = count * weights, at = block * block_bytes;
    unpack(to, live + at, count, format);
    unpack(from, pristine + at, count, format);
    for (size_t i = 0; i < n; i++) k[i] = int(from[i] ^ flip) - int(to[i] ^ flip);
    const size_t here = put_displacements(to, from, k, n, format);
    if (here > 0) pack(to, live + at, count, format);
    changed += here;
  }
  return changed;
}

/// Codes on even grids alone have mirror images.
inline bool mirror_takes(const float*, size_t count, const int32_t* format) {
  return count == 0 && format[kKind] == kLattice && format[kLevels] == kUniform;
}

}  // namespace brownian::BROWNIAN_TARGET
