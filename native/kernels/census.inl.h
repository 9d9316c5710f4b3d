// The census of codes: how many have which step and which distance to the rails. The counterpart of src/laws/census.ts, which says what is counted.
#pragma once
#include <cstddef>
#include <cstdint>

#include "codes.inl.h"
#include "float_bits.inl.h"
#include "format.h"
#include "levels.inl.h"
#include "put_moves.inl.h"
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

/// What up to eight classes count side by side, a byte each, in one word; sixteen in two. A byte is one code, or two.
template <int kWords>
struct CountsSideBySide {
  size_t most = 255;  // bytes that are counted before a count may be too large for a byte
  uint64_t of[256][kWords] = {};

  CountsSideBySide(const CensusClasses& classes, bool two) : most(two ? 127 : 255) {
    const auto count = [&](int byte, int stored) { of[byte][classes.of[stored] / 8] += uint64_t(1) << (8 * (classes.of[stored] % 8)); };
    for (int byte = 0; byte < 256; byte++) {
      count(byte, two ? byte & 15 : byte);
      if (two) count(byte, byte >> 4);
    }
  }

  void add(uint32_t* row, size_t classes, const uint8_t* codes, size_t n) const {
    for (size_t done = 0; done < n; done += most) {
      const size_t end = n - done < most ? n : done + most;
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

/// One weight after the other: here codes are their classes already. Eight are read as one word, since reading takes as long as counting.
struct CountsInTurn {
  void add(uint32_t* __restrict row, size_t, const uint8_t* __restrict classes, size_t n) const {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
      uint64_t eight;
      memcpy(&eight, classes + i, 8);
      for (int k = 0; k < 64; k += 8) row[uint8_t(eight >> k)]++;
    }
    for (; i < n; i++) row[classes[i]]++;
  }
};

/// Makes classes of codes on an even grid as they are stored. Whole vectors.
inline void to_reaches(uint8_t* codes, size_t n, const int32_t* format) {
  const Rails rails(format);
  const B lo = set1_b(rails.lo), hi = set1_b(rails.hi), flip = set1_b(rails.flip);
  for (size_t i = 0; i < n; i += B_LANES) {
    const B at = xor_b(load_b(codes + i), flip);
    store_b(codes + i, min_b(sub_floor_b(at, lo), sub_floor_b(hi, at)));
  }
}

inline size_t census_row(float step) { return (float_bits(step_size(step)) + (uint32_t(1) << (kCensusShift - 1))) >> kCensusShift; }

/// Calls use(first weight, weights, step, codes) for every group of whole blocks; kReaches: with classes of an even grid instead of codes.
template <bool kReaches, class Use>
inline void each_coded_group(const uint8_t* data, size_t bytes, const int32_t* format, Use use) {
  const size_t weights = format[kWeights], block_bytes = format[kBytes], blocks = bytes / block_bytes, tile = kSumCut / weights;
  const size_t group = format[kGroup];
  alignas(64) uint8_t codes[kSumCut];
  float steps[kSumCut / 16];
  for (size_t block = 0; block < blocks; block += tile) {
    const size_t count = tile < blocks - block ? tile : blocks - block;
    const uint8_t* at = data + block * block_bytes;
    unpack(codes, at, count, format);
    if (kReaches) to_reaches(codes, count * weights, format);
    const size_t groups = read_steps(steps, at, count, format);
    for (size_t g = 0; g < groups; g++) use(block * weights + g * group, group, steps[g], codes + g * group);
  }
}

/// Blocks of 32 weights that are one group, two codes in each of 16 bytes: counted as they lie.
inline bool is_sixteen_pairs(const int32_t* format) {
  const Plane p(format, 0);
  return format[kWeights] == 32 && format[kGroup] == 32 && format[kPlanes] == 1 && p.bits == 4 && p.run == 16 && p.group == 32 && p.shift == 0;
}

template <int kWords>
inline void count_pairs(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const CensusClasses& classes) {
  const CountsSideBySide<kWords> counts(classes, true);
  const size_t block_bytes = format[kBytes], blocks = bytes / block_bytes, offset = Plane(format, 0).offset;
  float steps[kSumCut / 32];
  for (size_t block = 0; block < blocks; block += kSumCut / 32) {
    const size_t count = kSumCut / 32 < blocks - block ? kSumCut / 32 : blocks - block;
    const uint8_t* at = data + block * block_bytes;
    read_steps(steps, at, count, format);
    for (size_t g = 0; g < count; g++, at += block_bytes) {
      const size_t row = census_row(steps[g]);
      table.seen[row] = true;
      counts.add(table.counts + row * table.classes, table.classes, at + offset, 16);
    }
  }
}

template <bool kReaches, class Counts>
inline void count_groups(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const Counts& counts) {
  each_coded_group<kReaches>(data, bytes, format, [&](size_t, size_t n, float step, const uint8_t* codes) {
    const size_t row = census_row(step);
    table.seen[row] = true;
    counts.add(table.counts + row * table.classes, table.classes, codes, n);
  });
}

inline void take_census(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const CensusColumns* columns, uint64_t index) {
  const CensusClasses classes(format);
  if (columns == nullptr) {
    if (table.classes <= 16 && is_sixteen_pairs(format)) {
      return table.classes <= 8 ? count_pairs<1>(table, data, bytes, format, classes) : count_pairs<2>(table, data, bytes, format, classes);
    }
    if (table.classes <= 8) return count_groups<false>(table, data, bytes, format, CountsSideBySide<1>(classes, false));
    if (table.classes <= 16) return count_groups<false>(table, data, bytes, format, CountsSideBySide<2>(classes, false));
    return count_groups<true>(table, data, bytes, format, CountsInTurn());
  }
  each_coded_group<false>(data, bytes, format, [&](size_t start, size_t n, float signed_step, const uint8_t* codes) {
    const uint64_t first = index + start, column = first / columns->matrix * columns->width + first % columns->width;
    const float step = step_size(signed_step);
    for (size_t i = 0; i < n; i++) {
      const size_t row = census_row(step * columns->inverse[column + i]);
      table.seen[row] = true;
      table.shares[row * table.classes + classes.of[codes[i]]] += columns->shares[column + i];
    }
  });
}

}  // namespace brownian::BROWNIAN_TARGET
