// The evolution `ascend`: codes go along a weighted sum of moves that they could make, rounded without bias. The counterpart of src/laws/ascent.ts,
// which holds the formula. Each move is made anew on a copy of the tile, and its weight added to the sums.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codes.inl.h"
#include "displacements.inl.h"
#include "format.h"
#include "levels.inl.h"
#include "noise.inl.h"
#include "perturb.inl.h"
#include "put_moves.inl.h"
#include "relax_kicks.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// One update of the codes of a format, tile by tile.
class Ascender {
 public:
  Ascender(const Move& move, const float* parameters, const LawTable& law)
      : move_(move), law_(law), format_(move.format), count_(size_t(parameters[0])), decay_(parameters[1]), weights_(parameters + kAscentHead) {
    const int flip = Rails(format_).flip, bias = format_[kBias];
    const bool even = format_[kLevels] == kUniform;
    const Table table = even ? Table{} : table_of(format_[kLevels]);
    // By the code as it is stored. Of even grids only differences count: the bias is taken off for the rails.
    for (int code = 0; code < 256; code++) {
      if (even) value_[code] = float(flip != 0 ? int(int8_t(code)) : code) - float(bias);
      else value_[code] = code < 16 ? float(table.values[table.level(code) <= table.last ? table.level(code) : table.last]) : 0.0f;
    }
  }

  size_t operator()(uint8_t* live, const uint8_t* pristine, size_t bytes) {
    const size_t weights = size_t(format_[kWeights]), block_bytes = size_t(format_[kBytes]), blocks = bytes / block_bytes,
                 tile_blocks = kTile / weights;
    size_t changed = 0;
    for (size_t block = 0; block < blocks; block += tile_blocks) {
      const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
      changed += tile(live + block * block_bytes, pristine + block * block_bytes, count, move_.index + uint64_t(block) * weights);
    }
    return changed;
  }

 private:
  size_t tile(uint8_t* live, const uint8_t* pristine, size_t blocks, uint64_t index) {
    const size_t n = blocks * size_t(format_[kWeights]), bytes = blocks * size_t(format_[kBytes]);
    unpack(codes_, live, blocks, format_);
    for (size_t i = 0; i < n; i++) at_[i] = value_[codes_[i]];
    memset(sums_, 0, n * sizeof(float));
    for (size_t which = 0; which < count_; which++) {
      if (weights_[which] == 0.0f) continue;
      Move move = move_;
      move.index = index;
      move.tick = move_.tick + uint32_t(which);
      memcpy(moved_, live, bytes);
      perturb(moved_, bytes, move, law_);
      unpack(others_, moved_, blocks, format_);
      add(weights_[which], n);
    }
    if (decay_ != 0.0f) {
      unpack(others_, pristine, blocks, format_);
      add(decay_, n);
    }
    bits(words_, n, move_.key, {index >> 2, uint32_t(index & 3), move_.tick, kUpdatePurpose});
    const size_t changed = format_[kLevels] == kUniform ? put(n) : put_levels(n);
    if (changed > 0) pack(codes_, live, blocks, format_);
    return changed;
  }

  /// sums += weight (others - codes)
  void add(float weight, size_t n) {
    if (format_[kLevels] != kUniform) {
      for (size_t i = 0; i < n; i++) sums_[i] += weight * (value_[others_[i]] - at_[i]);
      return;
    }
    const int flip = Rails(format_).flip;
    for (size_t i = 0; i < n; i++) sums_[i] += weight * float(int(others_[i] ^ flip) - int(codes_[i] ^ flip));
  }

  size_t put(size_t n) {
    const float lo = float(format_[kLo]), hi = float(format_[kHi]);
    const int bias = format_[kBias];
    int changed = 0;
    for (size_t i = 0; i < n; i++) {
      const float at = at_[i], least = lo < at ? lo : at, most = hi > at ? hi : at;
      const float aim = at + sums_[i], y = aim < least ? least : aim > most ? most : aim;
      const int whole = int(y), lower = whole - (float(whole) > y);
      const int next = lower + (unit_uniform(words_[i]) < y - float(lower));
      const uint8_t code = uint8_t(next + bias);
      changed += code != codes_[i];
      codes_[i] = code;
    }
    return size_t(changed);
  }

  size_t put_levels(size_t n) {
    const Table table = table_of(format_[kLevels]);
    const float least = float(table.values[0]), most = float(table.values[table.last]);
    size_t changed = 0;
    for (size_t i = 0; i < n; i++) {
      if (sums_[i] == 0.0f) continue;
      const float aim = at_[i] + sums_[i], y = aim < least ? least : aim > most ? most : aim;
      const int lower = level_below(table, y), was = table.level(codes_[i]);
      int level = lower;
      if (lower < table.last) {
        const float start = float(table.values[lower]);
        if (unit_uniform(words_[i]) < (y - start) / (float(table.values[lower + 1]) - start)) level++;
      }
      if (level == was) continue;
      codes_[i] = uint8_t(table.code(level));
      changed++;
    }
    return changed;
  }

  const Move& move_;
  const LawTable& law_;
  const int32_t* const format_;
  const size_t count_;
  const float decay_;
  const float* const weights_;
  float value_[256];
  alignas(64) uint8_t codes_[kTile], others_[kTile];
  alignas(64) float at_[kTile], sums_[kTile];
  alignas(64) uint32_t words_[kTile + 4 + N];
  /// No format has as many bytes a weight.
  alignas(64) uint8_t moved_[4 * kTile];
};

inline size_t ascend(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* parameters, const LawTable& law) {
  return Ascender(move, parameters, law)(live, pristine, bytes);
}

/// A count, a decay from 0 to 1, and so many weights in their range.
inline bool ascend_takes(const float* parameters, size_t count, const int32_t* format) {
  if (format[kKind] != kLattice || count < size_t(kAscentHead) || !(parameters[0] == float(count - kAscentHead))) return false;
  if (!(parameters[1] >= 0.0f && parameters[1] <= 1.0f)) return false;
  for (size_t i = kAscentHead; i < count; i++) {
    if (!(std::fabs(parameters[i]) <= float(kAscentLimit))) return false;
  }
  return true;
}

}  // namespace brownian::BROWNIAN_TARGET
