// The random numbers of one tile of weights. All are functions of key, tick, place and purpose alone: a tensor may be cut into tiles anywhere.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "format.h"
#include "noise.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// The draws of one tile, each made when first asked for. Pointers are to weight 0 of the tile.
struct Draws {
  Key key;
  uint32_t tick;
  uint64_t index;
  size_t count;
  bool has_normals = false, has_moves = false, has_rounding = false, has_pulls = false, has_columns = false, has_fine = false, has_runs = false,
       has_halves = false, has_stays = false;
  // Room for what vectors read beyond the last weight.
  alignas(64) float normal_store[kTile + 4 + N];
  alignas(64) uint32_t rounding_store[kTile + 4 + N];
  alignas(64) uint32_t pull_store[kTile + 4 + N];
  alignas(64) uint32_t column_store[kTile + 4 + N];
  alignas(64) uint32_t half_store[(kTile + 8 + 2 * 64) / 2];
  alignas(64) uint32_t move_store[(kTile + 8 + 2 * 64) / 2];
  alignas(64) uint32_t fine_store[(kTile + 16 + B_LANES) / 4];
  alignas(64) uint32_t stay_store[(kTile + 16 + 64) / 4];
  alignas(64) uint32_t byte_store[(kTile + 2 * 64) / 4];
  alignas(64) uint32_t shared_store[(kShared + 2 * 64) / 4];
  alignas(64) uint32_t row_store[kTile / kRowSpan + 4];

  Draws(Key key, uint32_t tick) : key(key), tick(tick), index(0), count(0) {}

  void begin(uint64_t at, size_t n) {
    index = at;
    count = n;
    has_normals = has_moves = has_rounding = has_pulls = has_columns = has_fine = has_runs = has_halves = has_stays = false;
  }
  const float* normals() {
    const uint32_t skip = index & 3;
    if (!has_normals) normal(normal_store, skip + count, key, {index >> 2, 0, tick, kNormalPurpose});
    has_normals = true;
    return normal_store + skip;
  }
  const uint32_t* rounding() {
    const uint32_t skip = index & 3;
    if (!has_rounding) bits(rounding_store, skip + count, key, {index >> 2, 0, tick, kRoundingPurpose});
    has_rounding = true;
    return rounding_store + skip;
  }
  /// What rounds the pulls of `relax`.
  const uint32_t* pulls() {
    const uint32_t skip = index & 3;
    if (!has_pulls) bits(pull_store, skip + count, key, {index >> 2, 0, tick, kPullPurpose});
    has_pulls = true;
    return pull_store + skip;
  }
  /// What decides the moves of weights that have a sigma each.
  const uint32_t* columns() {
    const uint32_t skip = index & 3;
    if (!has_columns) bits(column_store, skip + count, key, {index >> 2, 0, tick, kColumnPurpose});
    has_columns = true;
    return column_store + skip;
  }
  /// What half floats have between the points of a coarser grid, and what rounds them.
  const uint16_t* halves() {
    const uint32_t skip = index & 7;
    if (!has_halves) bits(half_store, (skip + count + 1) / 2, key, {index >> 3, 0, tick, kHalfPurpose});
    has_halves = true;
    return reinterpret_cast<const uint16_t*>(half_store) + skip;
  }
  const uint16_t* moves() {
    const uint32_t skip = index & 7;
    if (!has_moves) bits(move_store, (skip + count + 1) / 2, key, {index >> 3, 0, tick, kMovePurpose});
    has_moves = true;
    return reinterpret_cast<const uint16_t*>(move_store) + skip;
  }
  /// A byte a weight: A and B of a large move, a half each.
  const uint8_t* fine() {
    const uint32_t skip = index & 15;
    if (!has_fine) bits(fine_store, (skip + count + 3) / 4, key, {index >> 4, 0, tick, kFinePurpose});
    has_fine = true;
    return reinterpret_cast<const uint8_t*>(fine_store) + skip;
  }
  /// A byte a weight, which decides whether it stays (pulls.inl.h).
  const uint8_t* stays() {
    const uint32_t skip = index & 15;
    if (!has_stays) bits(stay_store, (skip + count + 3) / 4, key, {index >> 4, 0, tick, kStayPurpose});
    has_stays = true;
    return reinterpret_cast<const uint8_t*>(stay_store) + skip;
  }
  /// Begins what runs draw: a byte a weight, five bits that eight weights of a tile of kTile share, and a word a row span of kRowSpan weights.
  /// The tile must not reach beyond a multiple of kTile.
  void runs() {
    if (has_runs) return;
    has_runs = true;
    const uint64_t first = index & ~uint64_t(kRunAlign - 1);
    const size_t n = size_t(index - first) + count, at = size_t(first % kShared);
    bits(byte_store, (n + 3) / 4, key, {first >> 4, 0, tick, kDrawPurpose});
    bits(row_store, (n + kRowSpan - 1) / kRowSpan, key, {first / kRowSpan >> 2, uint32_t(first / kRowSpan & 3), tick, kRowPurpose});
    const bool few = n <= kShared - at;
    const size_t from = few ? at : 0, shared = few ? n : kShared;
    const uint64_t word = (first / kTile * kShared + from) / 4;
    bits(shared_store + from / 4, (shared + 3) / 4, key, {word >> 2, uint32_t(word & 3), tick, kSharedPurpose});
    for (size_t i = from / 4; i < from / 4 + (shared + 3) / 4; i++) shared_store[i] &= 0x1f1f1f1fu;
    memcpy(shared_store + kShared / 4, shared_store, kRunAlign);
  }
  /// What runs draw begins at a weight of the tensor that is a multiple of this one: so many weights before the tile's first.
  static constexpr size_t kRunAlign = 64;
  size_t before() const { return size_t(index % kRunAlign); }
  /// Of weight i of the tile, which may be one before the first.
  const uint8_t* bytes(ptrdiff_t i) const { return reinterpret_cast<const uint8_t*>(byte_store) + ptrdiff_t(before()) + i; }
  const uint8_t* shared(ptrdiff_t i) const { return reinterpret_cast<const uint8_t*>(shared_store) + (index + uint64_t(i)) % kShared; }
  const uint32_t* row_words(ptrdiff_t i) const { return row_store + size_t(ptrdiff_t(before()) + i) / kRowSpan; }

  uint32_t refine(size_t i) const {
    uint32_t word;
    const uint64_t at = index + i;
    bits(&word, 1, key, {at >> 2, uint32_t(at & 3), tick, kRefinePurpose});
    return word;
  }
};

/// The sum of work(byte, blocks, weights) over the tiles of `bytes` bytes, each with its draws begun.
template <class Work>
inline size_t each_tile(size_t bytes, const Move& move, Draws& draws, Work&& work) {
  const size_t weights = size_t(move.format[kWeights]), block_bytes = size_t(move.format[kBytes]);
  const size_t blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  size_t changed = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    draws.begin(move.index + uint64_t(block) * weights, count * weights);
    changed += work(block * block_bytes, count, count * weights);
  }
  return changed;
}

}  // namespace brownian::BROWNIAN_TARGET
