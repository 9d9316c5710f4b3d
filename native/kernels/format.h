// An encoded format as it comes from the table in src/lattice/formats.ts: field numbers as in src/kernels/contract.ts.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "../contract.h"

namespace brownian {

/// Weights that are moved at a time; a multiple of every block.
constexpr size_t kTile = 2048;

/// Weights of a hit group, which rare moves of blocks are drawn for.
inline size_t hit_group_length(const int32_t* format) { return size_t(format[kGroup]) < kHitGroup ? size_t(format[kGroup]) : kHitGroup; }

/// The most weights of a group of codes that stand for the entries of a table.
constexpr size_t kMostTableGroup = 64;

/// The tables of src/laws/tables.ts: tails P(|k| >= j) * 2^15, how many columns of each row are not zero, and 2^32 P(hits <= n) of four means.
struct LawTable {
  float tails[kLawRows * kLawColumns];
  int columns[kLawRows];
  /// The tails again, column by column, and with room for a vector of rows.
  float columns_of_tails[kLawColumns][33];
  uint32_t hits[kHitsClasses * kHitsMost];
  /// src/laws/alias.ts.
  alignas(64) uint8_t alias[(kAliasStill + 1) * kAliasRow];
};

struct Key {
  uint32_t k0, k1;
};

struct Position {
  uint64_t block;
  uint32_t skip, tick, purpose;
};

struct Move {
  const int32_t* format;
  float sigma;
  bool in_steps;
  const float* steps;  // external steps, one a row; else null
  uint64_t row_length;
  int rounding;
  Key key;
  uint64_t index;
  uint32_t tick;
  const float* columns;  // factors of sigma by column, of one matrix after the other; else null
  uint64_t columns_width, columns_matrix;
  const float* decay;  // of the kicks of `relax` (src/laws/pulls.ts); else null
};

/// What a span of kJournalSpan weights became in its last draw by the index.
struct Journal {
  /// Live bytes are pristine but for what is in here.
  bool known = false;
  std::vector<uint32_t> moves;  // in turn: weight of the span << 8 | code as it was
  std::vector<uint32_t> tiles;  // that were moved as a whole
};

/// Weights of a span that has a journal of its own.
constexpr uint64_t kJournalSpan = 1 << 18;

/// Weights that share a byte of the index, half of them a class: groups that lie in 64 bytes at the least, or 256 weights, so that a byte is at most
/// a 64th of what it stands for. A power of two, and two groups or more.
inline uint64_t weights_of_classes(const int32_t* format) {
  uint64_t weights = 2 * uint64_t(format[kGroup]);
  while (weights < 256 && weights * uint64_t(format[kBytes]) < 64 * uint64_t(format[kWeights])) weights *= 2;
  return weights;
}

/// Such spans of one tensor with the index of its steps (kernels/indexed.inl.h).
struct Indexed {
  const uint8_t* classes;  // of its first groups
  const uint8_t* tiles;    // of its first tile
  Journal* journal;        // of its first span
  const int32_t* format;
  uint64_t index;  // of its first weight: a multiple of kJournalSpan
  size_t weights;

  /// The span that begins `from` weights after the first.
  Indexed part(uint64_t from) const {
    const uint64_t left = weights - from;
    return {classes + from / weights_of_classes(format),      tiles + from / kTile * 2, journal + from / kJournalSpan, format, index + from,
            size_t(left < kJournalSpan ? left : kJournalSpan)};
  }
  size_t blocks() const { return weights / format[kWeights]; }
  size_t tile_count() const { return (weights + kTile - 1) / kTile; }
  size_t blocks_from(size_t tile) const { return tile * (kTile / format[kWeights]); }
  size_t blocks_of(size_t tile) const {
    const size_t left = blocks() - blocks_from(tile), most = kTile / format[kWeights];
    return most < left ? most : left;
  }
  size_t byte_of(size_t tile) const { return blocks_from(tile) * format[kBytes]; }
};

/// Asks for a byte that will be read (or written) soon. A hint: it may lie anywhere.
template <bool kWrite>
inline void prefetch(const void* at) {
#if defined(__GNUC__)
  __asm__ volatile("" : : "r"(at));  // or GCC takes every caller for a function without effect, and leaves it out
  __builtin_prefetch(at, kWrite);
#else
  (void)at;
#endif
}

/// For what must be part of its caller for its arrays to be registers.
#if defined(_MSC_VER)
#define BROWNIAN_INLINE __forceinline
#else
#define BROWNIAN_INLINE inline __attribute__((always_inline))
#endif

/// Keeps compilers from holding an array in registers, where taking words out again costs more than loading them into all lanes does.
template <class T>
inline void in_memory(T& array) {
#if defined(__GNUC__)
  __asm__ volatile("" : "+m"(array));
#else
  (void)array;
#endif
}

/// A law by which weights go from one tick to the next that is more than a plain move (src/laws/evolution.ts), compiled for a target.
struct Evolution {
  const char* name;
  /// Whether `step` takes these parameters, so many, for weights of this format.
  bool (*takes)(const float* parameters, size_t count, const int32_t* format);
  /// One step of `live`, which began as `pristine`; returns how many codes changed.
  size_t (*step)(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* parameters, const LawTable& law);
};

/// What is asked of a row of logits (src/laws/logits.ts).
struct LogitQuestion {
  int32_t target;  // below 0: none
  const float* betas;
  size_t count;
  const float* reference;  // or null
};

/// Counts of a census (src/laws/census.ts), of up to 2^32 weights: a row of `classes` for every step, and which rows there is something in. Or
/// shares instead, where there are columns.
struct CensusTable {
  uint32_t* counts;
  uint64_t* shares;
  bool* seen;
  size_t classes;
};

/// Of each column 1 / factor, and what a weight of it counts.
struct CensusColumns {
  const float* inverse;
  const uint64_t* shares;
  uint64_t width, matrix;
};

/// What an instruction set offers: the kernels of src/kernels/contract.ts, compiled for it.
struct Target {
  const char* name;
  void (*bits)(uint32_t* out, size_t n, Key key, Position at);
  void (*uniform)(float* out, size_t n, Key key, Position at);
  void (*normal)(float* out, size_t n, Key key, Position at);
  size_t (*perturb)(uint8_t* data, size_t bytes, const Move& move, const LawTable& law);
  double (*sum_squares)(const uint8_t* data, size_t bytes, const int32_t* format, const float* steps, uint64_t row_length, uint64_t index,
                        double total);
  void (*index_steps)(uint8_t* classes, uint8_t* tiles, const uint8_t* data, size_t blocks, const int32_t* format);
  size_t (*redraw)(uint8_t* live, const uint8_t* pristine, const Indexed& at, const Move& move, const LawTable& law);
  size_t (*difference)(const uint8_t* a, const uint8_t* b, size_t bytes, const int32_t* format);
  /// The likeliest token, or -1; kLogitHead numbers, and one of every beta.
  int32_t (*read_logits)(const float* logits, size_t n, const LogitQuestion& asked, double* out);
  /// sums += e^(l - m) / w, of every token; m and w as read_logits says them.
  void (*add_probabilities)(const float* logits, size_t n, const double* row, float* sums);
  /// Adds the weights of whole blocks that have their steps to a census, the first being weight `index` of the tensor; columns or null.
  void (*take_census)(CensusTable& table, const uint8_t* data, size_t bytes, const int32_t* format, const CensusColumns* columns, uint64_t index);
  const Evolution* evolutions;
  size_t evolution_count;
};

extern const Target kScalarTarget;
#if defined(__x86_64__) || defined(_M_X64)
extern const Target kAvx2Target;
extern const Target kAvx512Target;
#elif defined(__aarch64__) || defined(_M_ARM64)
extern const Target kNeonTarget;
#endif

}  // namespace brownian
