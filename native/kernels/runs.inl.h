// Runs of weights that have one step, groups of blocks or rows; and which of them move rarely.
#pragma once
#include <cstddef>
#include <cstdint>

#include "float_bits.inl.h"
#include "format.h"
#include "laws.inl.h"
#include "rare_groups.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Splits weights [0, n), of which the first is weight `index` of the tensor, where rows (and so external steps) change.
template <class Use>
inline void each_row(const float* steps, uint64_t row_length, uint64_t index, uint64_t n, Use use) {
  for (uint64_t start = 0; start < n;) {
    const uint64_t row = (index + start) / row_length;
    const uint64_t left = (row + 1) * row_length - index - start;
    const uint64_t length = left < n - start ? left : n - start;
    use(start, length, steps[row]);
    start += length;
  }
}

/// Calls use(start, length, step) for every run of a tile's weights that have one step, of which the first is weight `index` of the tensor.
template <class Use>
inline void each_run(const uint8_t* data, size_t blocks, size_t n, const Move& move, uint64_t index, Use use) {
  if (move.format[kStep] == kStepExternal) {
    each_row(move.steps, move.row_length, index, n, use);
    return;
  }
  float steps[kTile / 16];
  const size_t runs = read_steps(steps, data, blocks, move.format), group = size_t(move.format[kGroup]);
  for (size_t r = 0; r < runs; r++) use(r * group, group, step_size(steps[r]));
}

/// Which kinds of runs there are.
struct Kinds {
  bool dense = false, rare = false;
};

/// Of runs with noise s[0, n): parts those that move rarely, whose variances go to `rare` and whose s becomes 0, from the dense ones, whose
/// `rare` is 0.
inline Kinds part(const Move& move, float* s, float* rare, size_t n) {
  const float below = move.rounding == kMatched ? kSparseVariance : 0.0f;
  uint32_t dense = 0, any = 0;
  for (size_t r = 0; r < n; r++) {
    const float v = s[r] * s[r];
    rare[r] = v < below ? v : 0.0f;
    s[r] = v < below ? 0.0f : s[r];
    dense |= float_bits(s[r]);
    any |= float_bits(rare[r]);
  }
  return {dense != 0, any != 0};
}

}  // namespace brownian::BROWNIAN_TARGET
