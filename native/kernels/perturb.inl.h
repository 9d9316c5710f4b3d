// One perturbation: which kind of weights, tile by tile or hit by hit.
#pragma once
#include <cstddef>
#include <cstdint>

#include "columns.inl.h"
#include "draws.inl.h"
#include "floats.inl.h"
#include "lattice.inl.h"
#include "levels.inl.h"
#include "rows.inl.h"

namespace brownian::BROWNIAN_TARGET {

inline size_t perturb(uint8_t* data, size_t bytes, const Move& move, const LawTable& table) {
  if (move.sigma == 0.0f) return 0;
  if (move.columns != nullptr) return perturb_columns(data, bytes, move);
  const int32_t* format = move.format;
  Draws draws(move.key, move.tick);
  if (format[kKind] == kLattice && format[kLevels] == kUniform) {
    const size_t blocks = bytes / size_t(format[kBytes]);
    if (format[kStep] == kStepExternal) return RowMover(move, table, draws)(data, blocks);
    return GroupMover(move, table, draws)(data, blocks);
  }
  const auto by_tiles = [&](auto&& mover) {
    return each_tile(bytes, move, draws, [&](size_t at, size_t blocks, size_t) { return mover(data + at, blocks); });
  };
  const auto each_half = [&](auto format) {
    using Format = decltype(format);
    if (move.rounding == kMatched) return by_tiles(HalfMover<Format>(move, table, draws));
    return by_tiles([&](uint8_t* at, size_t n) { return move_half_tile<Format>(at, n, move, draws); });
  };
  switch (format[kKind]) {
    case kLattice: return by_tiles(TableMover(move, draws));
    case kF32: return by_tiles(FloatMover(move, draws));
    default: return with_short_float(format[kKind], each_half);
  }
}

}  // namespace brownian::BROWNIAN_TARGET
