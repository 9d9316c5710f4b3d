// Moves on lattices: blocks of codes whose values are whole multiples of a step. Dense runs go tile by tile through all codes, sparse ones
// hit by hit (rare_groups.inl.h, rare_rows.inl.h), with the symmetric truncation at the rails. Formulas: src/laws/moves.ts.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "code_at.inl.h"
#include "laws.inl.h"
#include "put_moves.inl.h"
#include "rare_groups.inl.h"
#include "runs.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Weights whose steps are read before their rare moves are made.
constexpr uint64_t kSpan = RareSpan::kWeightsMost;
constexpr size_t kSpanRuns = kSpan / 16;
/// The most runs of a tile.
constexpr size_t kTileRuns = kTile / 16;

/// k[0, n) of groups with variances v under the law of the table, negative where nothing moves.
inline void table_groups(int8_t* k, size_t n, size_t group, const float* v, const LawTable& table, const Draws& draws) {
  AliasRows rows;
  const uint32_t* const words = draws.row_words(0);
  if (group == 32 && draws.index % kRowSpan == 0) {
    rows.set(v, words, n / 32);
    alias_groups<32>(k, 0, n, rows, table, draws);
    return;
  }
  // Two groups of 16 have one word; of longer ones, every 32 weights.
  const size_t span = group < kRowSpan ? group : kRowSpan, spans = n / span;
  float variances[AliasRows::kMost];
  uint32_t word_of[AliasRows::kMost];
  for (size_t p = 0; p < spans; p++) variances[p] = v[p * span / group];
  for (size_t p = 0; p < spans; p++) word_of[p] = words[p * span / kRowSpan];
  rows.set(variances, word_of, spans);
  if (span == 16) alias_groups<16>(k, 0, n, rows, table, draws);
  else alias_groups<32>(k, 0, n, rows, table, draws);
}

/// Moves the dense runs of a tile: groups of `group` weights with noise s[run], of which those with none rest.
inline size_t move_dense_groups(uint8_t* data, size_t blocks, size_t n, const Move& move, const LawTable& table, const float* s, Draws& draws) {
  alignas(64) int8_t k[kTile + 64];
  const size_t group = size_t(move.format[kGroup]), runs = n / group;
  const bool matched = move.rounding == kMatched;
  float v[kTileRuns];
  int8_t grids[kTileRuns + 4];
  int tabled = 0, refined = 0, kicked = 0;
  for (size_t r = 0; r < runs; r++) {
    const int dense = s[r] > 0.0f, in_table = dense & int(matched & (s[r] * s[r] <= kCoarseVariance));
    v[r] = in_table ? s[r] * s[r] : -1.0f;
    tabled += in_table;
    refined += v[r] > kTableVariance;
    kicked += dense & ~in_table;
  }
  for (size_t r = 0; refined > 0 && r < runs; r++) {
    const Grid grid(v[r] > 0.0f ? v[r] : 0.0f);
    grids[r] = int8_t(grid.bits);
    v[r] = v[r] > kTableVariance ? grid.variance : v[r];
  }
  if (tabled > 0) {
    draws.runs();
    table_groups(k, n, group, v, table, draws);
    if (refined > 0) {
      const uint8_t* fine = draws.fine();
#if BROWNIAN_VECTORS
      for (size_t r = runs; r < runs + 4; r++) grids[r] = 0;
      if (group == 16) refine_groups<16>(k, n, grids, fine);
      else if (group == 32) refine_groups<32>(k, n, grids, fine);
      for (size_t r = 0; group > 32 && r < runs; r++) {
#else
      for (size_t r = 0; r < runs; r++) {
#endif
        if (grids[r] > 0) refine_moves(k + r * group, group, grids[r], fine + r * group);
      }
    }
  } else {
    memset(k, 0, n);
  }
  if (kicked > 0) {
    for (size_t r = 0; r < runs; r++) {
      if (s[r] > 0.0f && v[r] < 0.0f) kick_run(k, r * group, group, s[r], move, draws, 4 * size_t(kicked) < runs);
    }
  }
  return put_moves(data, blocks, n, k, move.format);
}

/// Which of 64 bytes are not 0.
inline uint64_t set_bits(const uint8_t* bytes) {
  uint64_t set = 0;
  for (size_t i = 0; i < 64; i += B_LANES) set |= uint64_t(nonzero_b(load_b(bytes + i))) << i;
  return set;
}

/// Blocks that hold their steps.
class GroupMover {
 public:
  GroupMover(const Move& move, const LawTable& table, Draws& draws)
      : move_(move),
        table_(table),
        draws_(draws),
        rare_(move.key, move.tick),
        length_(hit_group_length(move.format)),
        group_log_(log2(int(size_t(move.format[kGroup]) / length_))) {
    // What a byte times the square of a step is below where a hit group may have hits, and what that square is above where no group is dense, with
    // room for rounding. Where sigma is in steps, every step counts as 1.
    const float variance = move.sigma * move.sigma * (1.0f + 1e-6f);
    // A kick of light noise has this share of the variance (kick_scale); whether noise is light is asked of the squares of steps, too.
    const float kicked = move.decay == nullptr ? variance : variance * (1.0f - move.decay[0]);
    rests_from_ = kicked * 256.0f * float(length_);
    rare_above_ = kicked / kSparseVariance;
    if (move.decay != nullptr && rare_above_ < variance / kLightSquare) rare_above_ = variance / kLightSquare;
    quick_ = move.rounding == kMatched && move.sigma > 1e-15f && (move.decay == nullptr || !move.in_steps);
  }

  size_t operator()(uint8_t* data, size_t blocks) {
    const size_t weights = move_.format[kWeights], bytes = move_.format[kBytes];
    size_t changed = 0;
    end_ = data + blocks * bytes;
    for (size_t block = 0; block < blocks;) {
      const uint64_t index = move_.index + uint64_t(block) * weights;
      const size_t left = size_t((kSpan - index % kSpan + weights - 1) / weights);
      const size_t count = left < blocks - block ? left : blocks - block;
      changed += span(data + block * bytes, count, index);
      block += count;
    }
    return changed;
  }

 private:
  size_t span(uint8_t* data, size_t blocks, uint64_t index) {
    const size_t weights = move_.format[kWeights], bytes = move_.format[kBytes], tile_blocks = kTile / weights;
    size_t changed = 0;
    bool any_rare = false;
    rare_.begin(index / length_, blocks * weights / length_);
    for (size_t block = 0, run = 0; block < blocks;) {
      const size_t left = tile_blocks - size_t((index / weights + block) % tile_blocks), count = left < blocks - block ? left : blocks - block;
      uint8_t* const at = data + block * bytes;
      float* const steps = steps_ + run;
      const size_t left_bytes = size_t(end_ - at), until = std::min(left_bytes, kAhead + count * bytes);
      for (size_t line = kAhead; line < until; line += 64) prefetch<false>(at + line);
      const size_t runs = read_steps(steps, at, count, move_.format);
      for (size_t r = 0; r < runs; r++) steps[r] = step_size(steps[r]);
      if (all_rare(steps, runs)) {
        any_rare = true;
        const auto may = [&](float byte, float square) { return byte * square < rests_from_; };
        if (move_.in_steps) flag_hit_groups(run, runs, [](size_t) { return 1.0f; }, may);
        else flag_hit_groups(run, runs, [&](size_t r) { return steps_[r] * steps_[r]; }, may);
      } else {
        float s[kTileRuns];
        memcpy(s, steps, runs * sizeof(float));
        scales_in_steps(move_, s, runs);
        const Kinds kinds = part(move_, s, variances_ + run, runs);
        if (kinds.rare) {
          any_rare = true;
          flag_hit_groups(
              run, runs, [&](size_t r) { return variances_[r] * 256.0f * float(length_); }, [](float byte, float limit) { return byte < limit; });
        }
        if (kinds.dense) {
          draws_.begin(index + uint64_t(block) * weights, count * weights);
          changed += move_dense_groups(at, count, count * weights, move_, table_, s, draws_);
        }
      }
      run += runs;
      block += count;
    }
    return any_rare ? changed + rare(data) : changed;
  }

  /// Whether no group of these steps is dense, and none has no step.
  bool all_rare(const float* steps, size_t runs) const {
    if (!quick_) return false;
    // As whole numbers, which have the order of floats that are not negative: a minimum of floats keeps compilers from making vectors.
    int32_t smallest = INT32_MAX;
    for (size_t r = 0; r < runs; r++) {
      const int32_t step = int32_t(float_bits(steps[r]));
      smallest = step < smallest ? step : smallest;
    }
    const float least = bits_float(uint32_t(smallest));
    if (move_.in_steps) return move_.sigma * move_.sigma < kSparseVariance && least > 0.0f;
    return least * least > rare_above_ && least * least > 1e-30f;
  }

  /// Notes the hit groups of runs [from, from + runs) whose byte may(byte, of(run)).
  template <class Of, class May>
  void flag_hit_groups(size_t from, size_t runs, Of of, May may) {
    const size_t first = from << group_log_, n = runs << group_log_;
    alignas(64) uint8_t flags[kTile / 16 + 64];
    const uint8_t* const bytes = rare_.bytes() + first;
    if (group_log_ == 0) {
      for (size_t r = 0; r < runs; r++) flags[r] = may(float(bytes[r]), of(from + r));
    } else {
      for (size_t p = 0; p < n; p++) flags[p] = may(float(bytes[p]), of(from + (p >> group_log_)));
    }
    memset(flags + n, 0, 64);
    for (size_t p = 0; p < n; p += 64) rare_.note(first + p, set_bits(flags + p));
  }

  size_t rare(uint8_t* data) {
    return with_code_at(move_.format, [&](const auto& at) {
      HitGroupMover<std::decay_t<decltype(at)>> mover(data, length_, move_.format, at);
      const auto mean = [&](size_t hit_group) {
        const float s = scale_in_steps(move_, steps_[hit_group >> group_log_]), v = s * s;
        return v < kSparseVariance ? v * float(length_) : 0.0f;
      };
      RareBatch found;
      rare_.each(mean, found, [&](RareBatch& batch) -> RareBatch& {
        batch.each_hit([&](size_t j, int hits) { mover(batch.hit_group[j], hits, batch.places[j], [](size_t, int) {}); });
        return batch;
      });
      return mover.changed;
    });
  }

  /// Bytes that are prefetched before their turn comes.
  static constexpr size_t kAhead = 16384;

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
  const uint8_t* end_ = nullptr;  // of what is moved
  RareSpan rare_;
  const size_t length_;  // weights of a hit group
  const int group_log_;  // hit groups of a group, their binary logarithm
  float rests_from_, rare_above_;
  bool quick_;
  float steps_[kSpanRuns + kTileRuns];
  float variances_[kSpanRuns + kTileRuns];  // of groups that move rarely, where not all of a tile do
};

}  // namespace brownian::BROWNIAN_TARGET
