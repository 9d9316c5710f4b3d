// Rare moves of blocks, at the cost of a byte a group and of the moves: the counterpart of src/laws/rare-groups.ts, which explains it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "float_bits.inl.h"
#include "noise.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Below this variance moves are rare: they are drawn one by one.
constexpr float kSparseVariance = 0.015625f;
/// The most hits of a hit group.
constexpr int kMostHits = 10, kHitsAWord = 5;
constexpr double kMargin = 1.0 / (1ull << 50);

/// e^-x, 0 <= x <= 1/2.
inline double exp_of_minus(double x) {
  double sum = 1.0 / 479001600;
  sum = sum * x + -1.0 / 39916800;
  sum = sum * x + 1.0 / 3628800;
  sum = sum * x + -1.0 / 362880;
  sum = sum * x + 1.0 / 40320;
  sum = sum * x + -1.0 / 5040;
  sum = sum * x + 1.0 / 720;
  sum = sum * x + -1.0 / 120;
  sum = sum * x + 1.0 / 24;
  sum = sum * x + -1.0 / 6;
  sum = sum * x + 1.0 / 2;
  sum = sum * x + -1.0;
  return sum * x + 1.0;
}

/// What a hit group's byte and the first words of its block leave of a uniform number: 1 - t.
inline double rest_of(uint32_t byte, uint32_t word0, uint32_t word1) {
  const uint64_t bits = uint64_t(byte) << 44 | uint64_t(word0) << 12 | word1 >> 20;
  return 1.0 - (double(int64_t(bits)) + 0.5) * (1.0 / 4503599627370496.0);
}

/// How many hits a hit group has that left `rest` of its uniform number, if their mean is x.
inline int hits_of(double rest, double x) {
  double term = exp_of_minus(x), sum = term;
  int n = 0;
  while (rest > sum && n < kMostHits) {
    n++;
    term = term * x / n;
    sum += term;
  }
  return n;
}

/// Hit groups that may have hits, and what they drew. Which of them do is found out without branches, which could not be predicted.
struct RareBatch {
  static constexpr size_t kMost = 64;
  size_t n = 0;
  uint32_t hit_group[kMost + 1], places[kMost + 1][2];
  double rest[kMost + 1];  // 1 - t
  float mean[kMost + 1];   // of a hit group's hits, if that is known

  void add(uint32_t number, double left, float mean_hits, uint32_t places0, uint32_t places1, bool really) {
    hit_group[n] = number;
    rest[n] = left;
    mean[n] = mean_hits;
    places[n][0] = places0;
    places[n][1] = places1;
    n += really;
  }

  /// Calls use(number in the batch, hits) for the hit groups that have hits. What e^-x lies between, 1 - x and 1 - x + x^2 / 2, decides nearly
  /// always, and one hit is all, as e^-x (1 + x) >= 1 - x^2 / 2; kMargin is more than rounding takes.
  template <class Use>
  void each_hit(Use use) const {
    uint8_t order[kMost + 1], clear[kMost];
    size_t m = 0;
    for (size_t j = 0; j < n; j++) {
      const double x = double(mean[j]), half_square = 0.5 * x * x;
      clear[j] = (rest[j] > 1.0 - x + half_square + kMargin) & (rest[j] <= 1.0 - half_square - kMargin);
      order[m] = uint8_t(j);
      m += rest[j] > 1.0 - x - kMargin;
    }
    for (size_t k = 0; k < m; k++) {
      const size_t j = order[k];
      const int hits = clear[j] ? 1 : hits_of(rest[j], double(mean[j]));
      if (hits > 0) use(j, hits);
    }
  }
};

/// The hit groups of a span of weights that may have hits, and what they draw. Hit groups are counted from the span's first.
class RareSpan {
 public:
  /// Weights: their bytes fit the second-level cache, and their moves some vectors.
  static constexpr size_t kWeightsMost = 32768;
  static constexpr size_t kMost = kWeightsMost / 16;

  RareSpan(Key key, uint32_t tick) : key_(key), tick_(tick), philox_(key, tick, kRareHitsPurpose) {}

  /// Begins a span of `count` hit groups, of which the first is hit group `first` of the tensor.
  void begin(uint64_t first, size_t count) {
    first_ = first;
    count_ = count;
    has_bytes_ = false;
    n_ = 0;
  }

  /// A byte a hit group; beyond the last there is room for a vector.
  const uint8_t* bytes() {
    if (!has_bytes_) bits(bytes_, ((first_ & 15) + count_ + 3) / 4, key_, {first_ >> 4, 0, tick_, kRarePurpose});
    has_bytes_ = true;
    return reinterpret_cast<const uint8_t*>(bytes_) + (first_ & 15);
  }

  /// Notes those of the 64 hit groups from `from` on whose bit is set.
  void note(size_t from, uint64_t set) {
    // Most have few, and how many cannot be predicted: four are written in any case.
    const size_t all = n_ + size_t(count_bits(set));
    uint32_t* to = hit_groups_ + n_;
    for (int k = 0; k < 4; k++) {
      *to++ = uint32_t(from) + uint32_t(trailing_zeros(set | uint64_t(1) << 63));
      set &= set - 1;
    }
    for (; to < hit_groups_ + all; set &= set - 1) *to++ = uint32_t(from) + uint32_t(trailing_zeros(set));
    n_ = all;
  }

  /// Calls use(batch) for those of the hit groups noted that may have hits where their mean is mean(hit group), in their order. It returns the
  /// batch to fill next; `first` is the first one.
  template <class Mean, class Use>
  void each(Mean mean, RareBatch& first, Use use) {
    RareBatch* batch = &first;
    const uint8_t* const bytes = this->bytes();
    alignas(64) uint32_t words[4][kAtOnce];
    for (size_t k = n_; k < n_ + 2 * N; k++) hit_groups_[k] = 0;
    for (size_t at = 0; at < n_; at += kAtOnce) {
      const uint32_t* const hit_groups = hit_groups_ + at;
      const size_t n = n_ - at < kAtOnce ? n_ - at : kAtOnce;
      for (size_t j = 0; j < n; j += 2 * N) {
        Words a, b;
        philox_.twice(first_, hit_groups + j, a, b);
        const U all[] = {a.x0, a.x1, a.x2, a.x3, b.x0, b.x1, b.x2, b.x3};
        for (int w = 0; w < 4; w++) {
          store(words[w] + j, all[w]);
          store(words[w] + j + N, all[w + 4]);
        }
      }
      batch->n = 0;
      for (size_t j = 0; j < n; j++) {
        const double rest = rest_of(bytes[hit_groups[j]], words[0][j], words[1][j]);
        const float of = mean(size_t(hit_groups[j]));
        batch->add(hit_groups[j], rest, of, words[2][j], words[3][j], rest > 1.0 - double(of) - kMargin);
      }
      batch = &use(*batch);
    }
  }

 private:
  static constexpr size_t kAtOnce = RareBatch::kMost;

  Key key_;
  uint32_t tick_;
  Philox philox_;
  uint64_t first_ = 0;
  size_t count_ = 0, n_ = 0;
  bool has_bytes_ = false;
  alignas(64) uint32_t bytes_[kMost / 4 + 4 + 32];
  alignas(64) uint32_t hit_groups_[kMost + kAtOnce + 8];
};

/// Moves the codes of hit groups by their hits; a code that is hit twice counts once, or not at all where it is back.
template <class At>
class HitGroupMover {
 public:
  HitGroupMover(uint8_t* data, size_t length, const int32_t* format, const At& at)
      : data_(data), length_(length), at_(at), lo_(format[kLo] + format[kBias]), hi_(format[kHi] + format[kBias]) {}

  /// Calls moved(weight, code as it was) for each code that is moved, in turn.
  template <class Moved>
  void operator()(size_t hit_group, int hits, const uint32_t* places, Moved moved) {
    if (hits > 1) return several(hit_group, hits, places, moved);
    const size_t i = place(hit_group, places[0]);
    const int code = at_.read(data_, i);
    if (code <= lo_ || code >= hi_) return;
    moved(i, code);
    at_.write(data_, i, moved_by(places[0], code));
    changed++;
  }

  /// Prefetches what the hit group's first hit is on.
  void prefetch(size_t hit_group, const uint32_t* places) const { at_.prefetch(data_, place(hit_group, places[0])); }

  size_t changed = 0;

 private:
  size_t place(size_t hit_group, uint32_t field) const { return hit_group * length_ + (field & (length_ - 1)); }
  static int moved_by(uint32_t field, int code) { return code + 1 - int(field >> 4 & 2); }

  template <class Moved>
  void several(size_t hit_group, int hits, const uint32_t* places, Moved moved) {
    int before[kMostHits];
    size_t weights[kMostHits];
    for (int hit = 0; hit < hits; hit++) {
      const uint32_t field = places[hit / kHitsAWord] >> (6 * (hit % kHitsAWord));
      const size_t i = weights[hit] = place(hit_group, field);
      const int code = before[hit] = at_.read(data_, i);
      if (code <= lo_ || code >= hi_) continue;
      moved(i, code);
      at_.write(data_, i, moved_by(field, code));
    }
    for (int hit = 0; hit < hits; hit++) {
      int earlier = 0;
      while (weights[earlier] != weights[hit]) earlier++;
      changed += earlier == hit && at_.read(data_, weights[hit]) != before[hit];
    }
  }

  uint8_t* data_;
  size_t length_;
  At at_;
  int lo_, hi_;
};

}  // namespace brownian::BROWNIAN_TARGET
