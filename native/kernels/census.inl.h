// The census of codes: how many have which step and which distance to the rails. The counterpart of src/laws/census.ts, which says what is counted.
#pragma once
#include <cstddef>
#include <cstdint>

#include "codes.inl.h"
#include "float_bits.inl.h"
#include "format.h"
#include "levels.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// The class of each code as it is stored.
struct CensusClasses {
  uint8_t of[256];

  explicit CensusClasses(const int32_t* format) {
    const Table table = table_of(format[kLevels]);
    const int codes = format[kLevels] == kUniform ? 256 : 16;
    for (int stored = 0; stored < 256; stored++) {
      if (format[kLevels] != kUniform) {
        of[stored] = uint8_t(table.level(stored & (codes - 1)));
        continue;
      }
      const int code = int8_t(stored - format[kBias]);
      const int low = code - format[kLo], high = format[kHi] - code, reach = low < high ? low : high;
      of[stored] = uint8_t(reach < 0 ? 0 : reach);
    }
  }
};

/// What up to eight classes count side by side, a byte each, in one word; sixteen in two.
template <int kWords>
struct CountsSideBySide {
  static constexpr size_t kMost = 255;
  uint64_t of[256][kWords] = {};

  explicit CountsSideBySide(const CensusClasses& classes) {
    for (int stored = 0; stored < 256; stored++) of[stored][classes.of[stored] / 8] = uint64_t(1) << (8 * (classes.of[stored] % 8));
  }

  void add(uint64_t* row, size_t classes, const uint8_t* codes, size_t n) const {
    for (size_t done = 0; done < n; done += kMost) {
      const size_t end = n - done < kMost ? n : done + kMost;
      uint64_t a[kWords] = {}, b[kWords] = {};
      size_t i = done;
      for (; i + 2 <= end; i += 2) {
        for (int w = 0; w < kWords; w++) a[w] += of[codes[i]][w], b[w] += of[codes[i + 1]][w];
      }
      if (i < end) {
        for (int w = 0; w < kWords; w++) a[w] += of[codes[i]][w];
      }
      for (size_t c = 0; c < classes; c++) row[c] += uint8_t((a[c / 8] + b[c / 8]) >> (8 * (c % 8)));
    }
  }
};

/// One weight after the other.
struct CountsInTurn {
  const CensusClasses& classes;

  void add(uint64_t* row, size_t, const uint8_t* codes, size_t n) const {
    for (size_t i = 0; i < n; i++) row[classes.of[codes[i]]]++;
  }
};

inline size_t census_row(float step) { return (float_bits(step_size(step)) + (uint32_t(1) << (kCensusShift - 1))) >> kCensusShift; }

/// Calls use(first weight, weights, step, codes) for every group of whole blocks.
template <class Use>
inline void each_coded_group(const uint8_t* data, size_t bytes, const int32_t* format, Use use) {
  const size_t weights = format[kWeights], block_bytes = format[kBytes], blocks = bytes / block_bytes, tile = kSumCut / weights;
  const size_t group = format[kGroup];
  alignas(64) uint8_t codes[kSumCut];
  float steps[kSumCut / 16];
  for (size_t block = 0; block < blocks; block += tile) {
    const size_t count = tile < blocks - block ? tile : blocks - block;
    const uint8_t* at = data + block * block_bytes;
    unpack(codes, at, count, format);
    const size_t groups = read_steps(steps, at, count, format);
    for (size_t g = 0; g < groups; g++) use(block * weights + g * group, group, steps[g], codes + g * group);
  }
}

template <class Counts>
inline void count_groups(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const Counts& counts) {
  each_coded_group(data, bytes, format, [&](size_t, size_t n, float step, const uint8_t* codes) {
    const size_t row = census_row(step);
    table.seen[row] = true;
    counts.add(table.counts + row * table.classes, table.classes, codes, n);
  });
}

inline void take_census(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const CensusColumns* columns, uint64_t index) {
  const CensusClasses classes(format);
  if (columns == nullptr) {
    if (table.classes <= 8) return count_groups(table, data, bytes, format, CountsSideBySide<1>(classes));
    if (table.classes <= 16) return count_groups(table, data, bytes, format, CountsSideBySide<2>(classes));
    return count_groups(table, data, bytes, format, CountsInTurn{classes});
  }
  each_coded_group(data, bytes, format, [&](size_t start, size_t n, float signed_step, const uint8_t* codes) {
    const uint64_t first = index + start, column = first / columns->matrix * columns->width + first % columns->width;
    const float step = step_size(signed_step);
    for (size_t i = 0; i < n; i++) {
      const size_t row = census_row(step * columns->inverse[column + i]);
      table.seen[row] = true;
      table.counts[row * table.classes + classes.of[codes[i]]] += columns->shares[column + i];
    }
  });
}

}  // namespace brownian::BROWNIAN_TARGET
