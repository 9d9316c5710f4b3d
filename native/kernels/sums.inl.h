// Sums of squares in the order of src/kernels/contract.ts: leaves, and within them groups of codes or 16 accumulators.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "codes.inl.h"
#include "levels.inl.h"
#include "runs.inl.h"
#include "short_floats.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// The number that each code of a table stands for.
inline void to_numbers(uint8_t* codes, const int32_t* format) {
  const Table table = table_of(format[kLevels]);
  for (int i = 0; i < 16; i++) {
    codes[i] = uint8_t(format[kLevels] == kUniform ? codes[i] - format[kBias] : table.values[table.level(codes[i])]);
  }
}

/// Makes numbers of codes as they are stored: whole vectors of bytes at q.
inline void to_numbers(uint8_t* q, size_t n, const int32_t* format) {
  if (format[kLevels] != kUniform) {
    uint8_t values[16];
    for (int code = 0; code < 16; code++) values[code] = uint8_t(code);
    to_numbers(values, format);
    for (size_t i = 0; i < n; i += B_LANES) store_b(q + i, lookup_b(values, load_b(q + i)));
  } else if (format[kBias] != 0) {
    const B bias = set1_b(uint8_t(format[kBias]));
    for (size_t i = 0; i < n; i += B_LANES) store_b(q + i, sub_b(load_b(q + i), bias));
  }
}

/// Sums of squares, or of the numbers themselves, of every four of q[0, n).
inline void squares_of_four(int32_t* out, const int8_t* q, size_t n) {
  if constexpr (B_LANES == 1) {
    for (size_t i = 0; i < n; i += 4) out[i / 4] = q[i] * q[i] + q[i + 1] * q[i + 1] + q[i + 2] * q[i + 2] + q[i + 3] * q[i + 3];
  } else {
    for (size_t i = 0; i < n; i += B_LANES) {
      const B size = abs_b(load_b(reinterpret_cast<const uint8_t*>(q) + i));
      store(reinterpret_cast<uint32_t*>(out) + i / 4, dot_of_four(size, size));
    }
  }
}
inline void sums_of_four(int32_t* out, const int8_t* q, size_t n) {
  if constexpr (B_LANES == 1) {
    for (size_t i = 0; i < n; i += 4) out[i / 4] = q[i] + q[i + 1] + q[i + 2] + q[i + 3];
  } else {
    for (size_t i = 0; i < n; i += B_LANES) {
      store(reinterpret_cast<uint32_t*>(out) + i / 4, dot_of_four(set1_b(1), load_b(reinterpret_cast<const uint8_t*>(q) + i)));
    }
  }
}

/// out[g] = the sum of kTerms neighbours.
template <int kTerms>
inline void add_neighbours(int32_t* __restrict out, const int32_t* __restrict in, size_t n) {
  size_t g = 0;
#if BROWNIAN_VECTORS
  if constexpr (kTerms == 4 || kTerms == 8) {
    for (; g + N <= n; g += N) store(reinterpret_cast<uint32_t*>(out) + g, sums_of_words<kTerms>(reinterpret_cast<const uint32_t*>(in) + g * kTerms));
  }
#endif
  for (; g < n; g++) {
    int32_t sum = 0;
    for (int t = 0; t < kTerms; t++) sum += in[g * kTerms + t];
    out[g] = sum;
  }
}
inline void sums_of_groups(int32_t* out, const int32_t* fours, size_t n, int group) {
  if (group == 16) return add_neighbours<4>(out, fours, n);
  if (group == 32) return add_neighbours<8>(out, fours, n);
  if (group == 256) return add_neighbours<64>(out, fours, n);
  const int terms = group / 4;
  for (size_t g = 0; g < n; g++, fours += terms) {
    out[g] = 0;
    for (int t = 0; t < terms; t++) out[g] += fours[t];
  }
}

inline double square_group(double squares, double sum, double n, double step, double origin) {
  return squares * (step * step) + sum * (2 * step * origin) + n * (origin * origin);
}

/// Codes [0, n) whose number is one that `squares_of_four` cannot take.
inline bool has_lowest(const int8_t* q, size_t n) {
  int8_t lowest = 0;
  for (size_t i = 0; i < n; i++) lowest = q[i] < lowest ? q[i] : lowest;
  return lowest == -128;
}

inline int32_t square_run(const int8_t* q, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; i++) sum += int32_t(q[i]) * q[i];
  return sum;
}

/// The codes of kSumCut weights or fewer as numbers.
struct Numbers {
  alignas(64) int8_t q[kSumCut];

  Numbers(const uint8_t* data, size_t n, const int32_t* format) {
    uint8_t* const codes = reinterpret_cast<uint8_t*>(q);
    unpack(codes, data, n / format[kWeights], format);
    to_numbers(codes, n, format);
  }
};

#if BROWNIAN_VECTORS
/// Straight from blocks of 32 weights that are one group, without unpacking them: the sums of squares of each. False where that cannot be.
inline bool squares_of_blocks(int32_t* squares, const uint8_t* data, size_t blocks, const int32_t* format) {
  constexpr size_t kTogether = B_LANES / 16;
  const size_t bytes = format[kBytes];
  const Plane p(format, 0);
  if (format[kWeights] != 32 || format[kGroup] != 32 || format[kPlanes] != 1 || blocks % kTogether != 0) return false;
  constexpr size_t kAhead = 4096;  // what the processor does not fetch early enough by itself
  alignas(64) int32_t parts[kSumCut / 4];
  const uint8_t* at = data + p.offset;
  if (p.bits == 8 && p.run == 32) {
    B lowest = set1_b(0);
    for (size_t block = 0; block < blocks; block += B_LANES < 32 ? 1 : B_LANES / 32) {
      prefetch<false>(at + block * bytes + kAhead);
      for (size_t part = 0; part < 32; part += B_LANES) {  // more than one only where vectors are shorter than a block
        const B q = load_strided<32>(at + block * bytes + part, bytes);
        const B size = abs_b(q);
        lowest = min_signed_b(lowest, q);
        store(reinterpret_cast<uint32_t*>(parts) + block * 8 + part / 4, dot_of_four(size, size));
      }
    }
    if (count_nonzero_b(xor_b(lowest, set1_b(0x80))) < B_LANES) return false;  // -128, whose square is too large
    add_neighbours<8>(squares, parts, blocks);
    return true;
  }
  if (p.bits == 4 && p.run == 16 && p.group == 32 && p.shift == 0) {
    uint8_t table[16];
    for (int code = 0; code < 16; code++) table[code] = uint8_t(code);
    to_numbers(table, format);
    for (uint8_t& entry : table) {
      const int q = int8_t(entry);
      if (q * q > 255) return false;
      entry = uint8_t(q * q);
    }
    const B low = set1_b(15);
    for (size_t block = 0; block < blocks; block += kTogether) {
      const B packed = load_strided<16>(at + block * bytes, bytes);
      prefetch<false>(at + block * bytes + kAhead);
      const B a = lookup_b(table, and_b(packed, low)), b = lookup_b(table, and_b(shr4_b(packed), low));
      store(reinterpret_cast<uint32_t*>(parts) + block * 4, add(sums_of_eight(a), sums_of_eight(b)));
    }
    add_neighbours<4>(squares, parts, blocks);
    return true;
  }
  return false;
}
#else
inline bool squares_of_blocks(int32_t*, const uint8_t*, size_t, const int32_t*) { return false; }
#endif

/// The squares of each group of kSumCut weights or fewer.
inline void square_groups(double* terms, const uint8_t* data, size_t n, const int32_t* format) {
  constexpr size_t kMost = kSumCut / 16;
  const int group = format[kGroup];
  const size_t groups = n / group, blocks = n / format[kWeights];
  alignas(64) int32_t squares[kMost];
  const int kind = format[kStep];
  const bool origins = kind == kStepF16Origin || kind == kStepK2 || kind == kStepK4;
  if (origins || !squares_of_blocks(squares, data, blocks, format)) {
    const Numbers numbers(data, n, format);
    const int8_t* q = numbers.q;
    alignas(64) int32_t fours[kSumCut / 4];
    if ((format[kPlaneBits] == 8 || format[kBias] > 127) && has_lowest(q, n)) {
      for (size_t g = 0; g < groups; g++) squares[g] = square_run(q + g * group, group);
    } else {
      squares_of_four(fours, q, n);
      sums_of_groups(squares, fours, groups, group);
    }
    if (origins) {
      int32_t sums[kMost];
      sums_of_four(fours, q, n);
      sums_of_groups(sums, fours, groups, group);
      size_t g = 0;
      each_group(data, blocks, format, [&](size_t, size_t, const Group& of) {
        terms[g] = square_group(squares[g], sums[g], group, of.step, of.origin);
        g++;
      });
      return;
    }
  }
  // Without an origin the other two terms are zero, unless the step is no number: then they are none either.
  float steps[kMost];
  read_steps(steps, data, blocks, format);
  for (size_t g = 0; g < groups; g++) {
    const double step = steps[g];
    terms[g] = double(squares[g]) * (step * step) + 0.0 * step;
  }
}

/// Leaves of blocks that hold their steps.
class GroupLeaves {
 public:
  /// Leaves that are added side by side, since one alone waits for each addition.
  static constexpr size_t kMost = 4;

  GroupLeaves() : terms_(static_cast<double*>(malloc(kMost * kStride * sizeof(double)))) {
    if (terms_ == nullptr) abort();
  }
  GroupLeaves(const GroupLeaves&) = delete;
  GroupLeaves& operator=(const GroupLeaves&) = delete;
  ~GroupLeaves() { free(terms_); }

  /// sums[0, leaves) of `leaves` leaves of n weights each.
  void operator()(double* sums, size_t leaves, const uint8_t* data, size_t n, const int32_t* format) {
    const size_t weights = format[kWeights], bytes = format[kBytes], group = format[kGroup], groups = n / group;
    for (size_t leaf = 0; leaf < leaves; leaf++) {
      for (size_t tile = 0; tile < n; tile += kSumCut) {
        const uint8_t* at = data + (leaf * n + tile) / weights * bytes;
        square_groups(terms_ + leaf * kStride + tile / group, at, n - tile < kSumCut ? n - tile : kSumCut, format);
      }
    }
    for (size_t leaf = 0; leaf < leaves; leaf++) sums[leaf] = 0;
    if (leaves == kMost) {
      for (size_t g = 0; g < groups; g++) {
        for (size_t leaf = 0; leaf < kMost; leaf++) sums[leaf] += terms_[leaf * kStride + g];
      }
    } else {
      for (size_t leaf = 0; leaf < leaves; leaf++) {
        for (size_t g = 0; g < groups; g++) sums[leaf] += terms_[leaf * kStride + g];
      }
    }
  }

 private:
  static constexpr size_t kStride = kSumLeaf / 16;
  double* terms_;
};

/// A leaf of rows with external steps.
inline double row_leaf(const uint8_t* data, size_t n, const int32_t* format, const float* steps, uint64_t row_length, uint64_t index) {
  double sum = 0;
  for (size_t tile = 0; tile < n; tile += kSumCut) {
    const size_t count = n - tile < kSumCut ? n - tile : kSumCut;
    const Numbers numbers(data + tile, count, format);
    const int8_t* q = numbers.q;
    each_row(steps, row_length, index + tile, count, [&](size_t start, size_t length, float step) {
      int32_t plain = 0;
      for (size_t i = 0; i < length; i++) plain += q[start + i];
      sum += square_group(square_run(q + start, length), plain, double(length), step, 0.0);
    });
  }
  return sum;
}

template <class Format>
inline double short_float_leaf(const uint8_t* data, size_t n) {
  double values[256];
  for (int code = 0; code < 256; code++) {
    const uint8_t byte = uint8_t(code);
    uint16_t half;
    Format::load_all(&half, &byte, 1);
    values[code] = double(Format::value(half)) * double(Format::value(half));
  }
  double lanes[16] = {0};
  for (size_t i = 0; i < n; i++) lanes[i & 15] += values[data[i]];
  for (int apart = 8; apart > 0; apart >>= 1) {
    for (int l = 0; l < apart; l++) lanes[l] += lanes[l + apart];
  }
  return lanes[0];
}

inline float read_float(const uint8_t* data, size_t i, int kind) {
  if (kind == kF32) {
    float w;
    memcpy(&w, data + 4 * i, 4);
    return w;
  }
  uint16_t h;
  memcpy(&h, data + 2 * i, 2);
  return kind == kF16 ? half_to_float(h) : bits_float(uint32_t(h) << 16);
}

template <int kKindOf>
inline double float_leaf(const uint8_t* data, size_t n) {
  double lanes[16] = {0};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t l = 0; l < 16; l++) {
      const double w = read_float(data, i + l, kKindOf);
      lanes[l] += w * w;
    }
  }
  for (; i < n; i++) {
    const double w = read_float(data, i, kKindOf);
    lanes[i & 15] += w * w;
  }
  for (int apart = 8; apart > 0; apart >>= 1) {
    for (int l = 0; l < apart; l++) lanes[l] += lanes[l + apart];
  }
  return lanes[0];
}

inline double sum_squares(const uint8_t* data, size_t bytes, const int32_t* format, const float* steps, uint64_t row_length, uint64_t index,
                          double total) {
  GroupLeaves group_leaves;
  const size_t weights = format[kWeights], block_bytes = format[kBytes];
  const size_t count = bytes / block_bytes * weights;
  for (size_t leaf = 0; leaf < count;) {
    const size_t n = count - leaf < kSumLeaf ? count - leaf : kSumLeaf;
    const uint8_t* at = data + (leaf / weights) * block_bytes;
    size_t leaves = 1;
    double sums[GroupLeaves::kMost];
    switch (format[kKind]) {
      case kLattice:
        if (format[kStep] == kStepExternal) {
          sums[0] = row_leaf(at, n, format, steps, row_length, index + leaf);
        } else {
          if (count - leaf >= GroupLeaves::kMost * kSumLeaf) leaves = GroupLeaves::kMost;
          group_leaves(sums, leaves, at, n, format);
        }
        break;
      case kF32: sums[0] = float_leaf<kF32>(at, n); break;
      case kF16: sums[0] = float_leaf<kF16>(at, n); break;
      case kE4m3: sums[0] = short_float_leaf<E4M3>(at, n); break;
      case kE5m2: sums[0] = short_float_leaf<E5M2>(at, n); break;
      default: sums[0] = float_leaf<kBF16>(at, n); break;
    }
    for (size_t l = 0; l < leaves; l++) total += sums[l];
    leaf += leaves * n;
  }
  return total;
}

}  // namespace brownian::BROWNIAN_TARGET
