// Redraws at the cost of the moves: an index of the steps, made once a tensor, tells which hit groups may have rare moves (rare_groups.inl.h)
// without a look at the weights, and a journal of the last draw's moves undoes them.
//
// The index has two bytes for every tile of kTile weights, the largest class of its steps, and the class of what moves on average; and half a byte for
// every weights_of_classes(format) / 2 weights: how far the largest class of their groups is below the tile's, 15 for more. The lower halves of a tile's
// bytes are those of its first half of weights, so that eight bytes are unpacked at once.
// Classes are ranges of steps, four to an octave, and rise as steps fall; what a step is exactly is read where a hit falls.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "code_at.inl.h"
#include "laws.inl.h"
#include "perturb.inl.h"
#include "rare_groups.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr int kNoStep = 0, kAnyStep = 255;
/// The float bits of the smallest step that has a class of its own (2^-40), and how many lower bits a class leaves open.
constexpr uint32_t kFirstStep = uint32_t(127 - 40) << 23;
constexpr int kStepBits = 21;

inline uint8_t class_of_step(float step) {
  if (!(step > 0.0f)) return kNoStep;
  const int64_t from_first = (int64_t(float_bits(step)) - int64_t(kFirstStep)) >> kStepBits;
  return uint8_t(from_first < 0 || from_first >= kAnyStep - 1 ? int64_t(kAnyStep) : kAnyStep - 1 - from_first);
}

/// The smallest step of a class; kNoStep and kAnyStep have none that counts.
inline float step_of_class(int c) { return bits_float(kFirstStep + (uint32_t(kAnyStep - 1 - c) << kStepBits)); }

/// Of a class that is so far below its tile's, or further, the index says this.
constexpr int kMostBelow = 15;

/// A class of the index, or one above it: number `i` of a tile with these bytes and this largest class. None is below 0: that is no step.
inline uint8_t class_at(const uint8_t* of, size_t bytes, size_t i, uint8_t largest) {
  const uint8_t below = i < bytes ? of[i] & kMostBelow : of[i - bytes] >> 4;
  return largest > below ? uint8_t(largest - below) : uint8_t(kNoStep);
}

/// The index of `blocks` blocks, which begin a tensor or a multiple of kTile weights after it.
inline void index_steps(uint8_t* classes, uint8_t* tiles, const uint8_t* data, size_t blocks, const int32_t* format) {
  const size_t weights = format[kWeights], tile_blocks = kTile / weights, shared = weights_of_classes(format) / 2 / size_t(format[kGroup]);
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    float steps[kTileRuns];
    const size_t groups = read_steps(steps, data + block * format[kBytes], count, format);
    int largest = kNoStep, n = 0;
    uint8_t own[kTileRuns];
    double moves = 0;
    for (size_t g = 0; g < groups; g++) {
      const float step = step_size(steps[g]);
      const int c = class_of_step(step);
      if (g % shared == 0) own[n++] = uint8_t(c);
      else if (c > own[n - 1]) own[n - 1] = uint8_t(c);
      if (c > largest) largest = c;
      if (c != kNoStep && c != kAnyStep) moves += 1.0 / (double(step) * double(step));
    }
    const auto below = [&](int i) { return i < n && largest - own[i] < kMostBelow ? largest - own[i] : kMostBelow; };
    const int bytes = int(kTile / weights_of_classes(format));
    for (int i = 0; i < bytes; i++) *classes++ = uint8_t(below(i) | below(bytes + i) << 4);
    *tiles++ = uint8_t(largest);
    *tiles++ = moves > 0 ? class_of_step(float(std::sqrt(double(groups) / moves))) : uint8_t(kNoStep);
  }
}

/// The variance of a move where the step is this one.
inline float variance_at(const Move& move, float step) {
  const float s = scale_in_steps(move, step);
  return s * s;
}

/// to[0, n): each byte of `of` as often as Wide has bytes; the last maybe beyond n.
template <class Wide>
inline void repeat(uint8_t* __restrict to, const uint8_t* __restrict of, size_t n) {
  for (size_t i = 0; i * sizeof(Wide) < n; i++) {
    const Wide all = Wide(of[i] * (Wide(~Wide(0)) / 255));
    memcpy(to + i * sizeof(Wide), &all, sizeof(Wide));
  }
}

/// to[0, n): each byte of `of` 2^log times. Room for 64 more. Compilers make vectors of it where it is told how often.
inline void spread(uint8_t* to, const uint8_t* of, size_t n, int log) {
  switch (log) {
    case 0: memcpy(to, of, n); return;
    case 1: return repeat<uint16_t>(to, of, n);
    case 2: return repeat<uint32_t>(to, of, n);
    case 3: return repeat<uint64_t>(to, of, n);
    default:
      for (size_t p = 0; p < n; p++) to[p] = of[p >> log];
  }
}

/// to[0, 2 bytes): all classes of a tile. Eight bytes at a time, where it has as many: of groups of 256 it has four.
inline void unpack(uint8_t* to, const uint8_t* of, size_t bytes, uint8_t largest) {
  if (largest < kMostBelow || bytes < 8) {
    for (size_t i = 0; i < 2 * bytes; i++) to[i] = class_at(of, bytes, i, largest);
    return;
  }
  constexpr uint64_t kOnes = ~uint64_t(0) / 255;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t eight;
    memcpy(&eight, of + i, 8);
    const uint64_t low = largest * kOnes - (eight & kMostBelow * kOnes), high = largest * kOnes - (eight >> 4 & kMostBelow * kOnes);
    memcpy(to + i, &low, 8);
    memcpy(to + bytes + i, &high, 8);
  }
}

/// What a move does to hit groups, by the classes of their steps.
class ClassLaw {
 public:
  ClassLaw(size_t length, const Move& move) : moves_(move.sigma > 0.0f), length_(float(length)) {
    float steps[256];
    for (int c = 0; c < 256; c++) steps[c] = step_of_class(c);
    scales_in_steps(move, steps, 256);
    for (int c = 0; c < 256; c++) mean_[c] = length_ * (steps[c] * steps[c]);
    for (first_dense_ = kAnyStep; first_dense_ > kNoStep + 1 && mean_[first_dense_ - 1] >= length_ * kSparseVariance;) first_dense_--;
    if (move.rounding != kMatched) first_dense_ = kNoStep + 1;  // only `matched` has rare moves
    memset(least_, kAnyStep, sizeof(least_));
    for (int c = first_dense_ - 1; c > kNoStep; c--) {
      const int bytes = int(std::ceil(256.0f * mean_[c]));
      memset(least_, bytes > 1 ? c : kNoStep + 1, size_t(bytes));
      if (bytes <= 1) break;
    }
  }

  /// The largest mean number of hits of a hit group of this class.
  float mean(int c) const { return mean_[c]; }

  /// Whether a tile may have dense groups.
  bool heavy(const Indexed& at, size_t tile) const { return at.tiles[2 * tile] >= first_dense_ && moves_; }

  /// Whether a draw by the index takes less time, in nanoseconds, than one that copies and moves everything, and its journal little room.
  bool pays(const Indexed& at) const {
    float hits = 0;
    size_t heavies = 0;
    for (size_t tile = 0; tile < at.tile_count(); tile++) {
      const bool is_heavy = heavy(at, tile);
      heavies += is_heavy;
      hits += is_heavy ? 0.0f : mean_[at.tiles[2 * tile + 1]];
    }
    const float hit_groups = float(kTile) / length_;
    const float most = kJournalShare / float(sizeof(uint32_t)) * float(at.blocks()) * float(at.format[kBytes]);
    const float moves = hits * hit_groups;
    if (moves > most && moves > 64.0f) return false;
    // A vector that grows takes twice what it needs. Six standard errors.
    at.journal->moves.reserve(size_t(moves + 6.0f * std::sqrt(moves)) + 16);
    const float tiles = float(at.tile_count()), full = float(kTile) * kFullCost;
    return moves_ ? moves * kHitCost + tiles * hit_groups * kHitGroupCost + float(heavies) * full < tiles * full : true;
  }

  /// Which of 64 hit groups with these classes and bytes may have hits: those whose class is at least least_[byte]. `largest`: of the classes.
  uint64_t may_have_hits(const uint8_t* classes, const uint8_t* bytes, int largest) const {
    // Sixteen bytes have a table; those from some on leave even the largest class alone.
    int tables = 8;
    while (tables > 0 && least_[16 * (tables - 1)] > largest) tables--;
    const B nibble = set1_b(15), most = set1_b(127);
    uint64_t rest = 0;
    for (size_t i = 0; i < 64; i += B_LANES) {
      const B byte = min_b(load_b(bytes + i), most), low = and_b(byte, nibble);
      B least = tables < 8 ? set1_b(kAnyStep) : lookup_b(least_ + 112, low);
      for (int t = tables < 8 ? tables : 7; t-- > 0;) least = choose_less(byte, set1_b(uint8_t(16 * (t + 1))), lookup_b(least_ + 16 * t, low), least);
      rest |= uint64_t(nonzero_b(sub_floor_b(least, load_b(classes + i)))) << i;
    }
    return ~rest;
  }

 private:
  /// Of the bytes that are moved: what a journal may have.
  static constexpr float kJournalShare = 1.0f / 96.0f;
  static constexpr float kHitCost = 60, kHitGroupCost = 0.4f, kFullCost = 0.2f;

  bool moves_;
  float length_;
  float mean_[256];
  int first_dense_;
  uint8_t least_[128];
};

/// live := pristine; live is pristine moved as the journal says, or whatever where it says nothing.
inline void undo(uint8_t* live, const uint8_t* pristine, const Indexed& at) {
  Journal& journal = *at.journal;
  if (!journal.known) {
    memcpy(live, pristine, at.blocks() * at.format[kBytes]);
  } else {
    for (const uint32_t tile : journal.tiles) memcpy(live + at.byte_of(tile), pristine + at.byte_of(tile), at.blocks_of(tile) * at.format[kBytes]);
    // Backwards: of a code that was moved twice, the first move was from the pristine one.
    constexpr size_t kAhead = 16;
    const uint32_t* const moves = journal.moves.data();
    with_code_at(at.format, [&](const auto& code) {
      for (size_t j = journal.moves.size(); j-- > 0;) {
        if (j >= kAhead) code.prefetch(live, moves[j - kAhead] >> 8);
        code.write(live, moves[j] >> 8, int(moves[j] & 255));
      }
    });
  }
  journal.tiles.clear();
  journal.moves.clear();
  journal.known = true;
}

/// live := pristine, moved; live is pristine. The same bytes as `perturb`; returns how many codes changed.
template <class CodeAtFormat>
inline size_t perturb_indexed(uint8_t* live, const Indexed& at, const ClassLaw& law, const Move& move, const LawTable& table,
                              const CodeAtFormat& code) {
  const int32_t* format = at.format;
  const size_t block_bytes = format[kBytes], length = hit_group_length(format);
  const int group_log = log2(int(size_t(format[kGroup]) / length)), groups_log = log2(format[kWeights]) - log2(format[kGroup]);
  const int class_log = log2(int(weights_of_classes(format) / 2 / length)), tile_log = log2(int(kTile / length));
  const size_t class_bytes = kTile / weights_of_classes(format), classes_most = 2 * class_bytes - 1;
  Journal& journal = *at.journal;
  HitGroupMover<CodeAtFormat> mover(live, length, format, code);
  RareSpan rare(move.key, move.tick);
  size_t changed = 0;
  // Hit groups, by their numbers in the span, that have hits if their step is the smallest of its class. All that will be looked at is
  // prefetched as they are found, and looked at when the next ones have been.
  RareBatch found[2];
  int now = 0;
  const auto block_of = [&](size_t hit_group) { return live + (hit_group >> group_log >> groups_log) * block_bytes; };
  const auto apply = [&](RareBatch& batch) {
    for (size_t j = 0; j < batch.n; j++) {
      const size_t hit_group = batch.hit_group[j];
      const uint8_t* const block = block_of(hit_group);
      batch.mean[j] = format[kStep] == kStepF16 ? read_half(block + format[kStepOffset])
                                                : read_group(block, int(hit_group >> group_log & ((size_t(1) << groups_log) - 1)), format).step;
    }
    scales_in_steps(move, batch.mean, batch.n);
    for (size_t j = 0; j < batch.n; j++) batch.mean[j] = float(length) * (batch.mean[j] * batch.mean[j]);
    batch.each_hit([&](size_t j, int hits) {
      mover(batch.hit_group[j], hits, batch.places[j],
            [&](size_t weight, int was) { journal.moves.push_back(uint32_t(weight) << 8 | uint8_t(was)); });
    });
    batch.n = 0;
  };

  for (uint64_t from = 0; from < at.weights; from += kSpan) {
    const size_t count = size_t((kSpan < at.weights - from ? kSpan : at.weights - from) / length), first = size_t(from / length);
    rare.begin((at.index + from) / length, count);
    const uint8_t* const classes = at.classes + from / kTile * class_bytes;
    const uint8_t* const tiles = at.tiles + from / kTile * 2;
    for (size_t hit_group = 0, tile = size_t(from / kTile); hit_group < count; hit_group += kTile / length, tile++) {
      const size_t n = kTile / length < count - hit_group ? kTile / length : count - hit_group;
      const int largest = at.tiles[2 * tile];
      if (law.heavy(at, tile)) {
        Move part = move;
        part.index = at.index + tile * kTile;
        changed += perturb(live + at.byte_of(tile), at.blocks_of(tile) * block_bytes, part, table);
        journal.tiles.push_back(uint32_t(tile));
      } else if (largest != kNoStep) {
        alignas(64) uint8_t of[kTile / 16 + 64], own[kTile / 16 + 64];
        unpack(class_log > 0 ? of : own, classes + (hit_group >> tile_log) * class_bytes, class_bytes, uint8_t(largest));
        if (class_log > 0) spread(own, of, n, class_log);
        memset(own + n, kNoStep, 64);  // 64 are looked at in any case
        for (size_t p = 0; p < n; p += 64) rare.note(hit_group + p, law.may_have_hits(own + p, rare.bytes() + hit_group + p, largest));
      }
    }
    const auto class_of = [&](size_t hit_group) {
      const size_t of_span = hit_group >> tile_log;
      return class_at(classes + of_span * class_bytes, class_bytes, hit_group >> class_log & classes_most, tiles[2 * of_span]);
    };
    rare.each([&](size_t hit_group) { return law.mean(class_of(hit_group)); }, found[now ^ 1],
              [&](RareBatch& next) -> RareBatch& {
                now ^= 1;
                for (size_t j = 0; j < next.n; j++) {
                  next.hit_group[j] += uint32_t(first);
                  prefetch<true>(block_of(next.hit_group[j]) + format[kStepOffset]);
                  mover.prefetch(next.hit_group[j], next.places[j]);
                }
                apply(found[now ^ 1]);
                return found[now ^ 1];
              });
  }
  apply(found[now]);
  return changed + mover.changed;
}

/// live := pristine, moved. live is pristine moved as its journals say. Goes, span by span, the way that takes less time.
inline size_t redraw(uint8_t* live, const uint8_t* pristine, const Indexed& all, const Move& move, const LawTable& table) {
  const ClassLaw law(hit_group_length(all.format), move);
  size_t changed = 0;
  for (uint64_t from = 0; from < all.weights; from += kJournalSpan) {
    const Indexed at = all.part(from);
    uint8_t* const here = live + all.byte_of(size_t(from / kTile));
    const uint8_t* const there = pristine + all.byte_of(size_t(from / kTile));
    if (law.pays(at)) {
      undo(here, there, at);
      if (move.sigma > 0.0f) changed += with_code_at(at.format, [&](const auto& code) { return perturb_indexed(here, at, law, move, table, code); });
    } else {
      const size_t bytes = at.blocks() * at.format[kBytes];
      at.journal->known = false;
      memcpy(here, there, bytes);
      Move whole = move;
      whole.index = at.index;
      changed += perturb(here, bytes, whole, table);
    }
  }
  return changed;
}

}  // namespace brownian::BROWNIAN_TARGET
