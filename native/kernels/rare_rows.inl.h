// Rare moves of rows, whose steps are given and not read: the cost follows the moves alone. The counterpart of src/laws/rare-rows.ts,
// which explains it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "float_bits.inl.h"
#include "format.h"
#include "noise.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr int kHighestOctave = 40;
constexpr uint32_t kTileBlocks = 256;
/// Classes are the upper bits of a variance's float32, from this one to kLastClass.
constexpr int kFirstClass = (126 - kHighestOctave) << 2;
constexpr int kLastClass = (int(126 - 6) << 2) + 3;

/// The class of a variance, 0 < v < kSparseVariance.
inline int class_of(float v) {
  const int c = int(float_bits(v) >> 21);
  return c > kFirstClass ? c : kFirstClass;
}
inline int octave_of(int rare_class) { return 126 - (rare_class >> 2); }

/// The share of its class's hits that a row of variance v accepts, floor(2^32 v / u) with u the upper end of the class.
inline uint32_t share_of(float v, int rare_class) {
  const uint32_t bits = float_bits(v);
  const uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
  const int below = (rare_class >> 2) - int(bits >> 23);
  return below < 32 ? uint32_t((mantissa << 11) / uint64_t(5 + (rare_class & 3)) >> below) : 0;
}

/// Up to this octave a hit has two words: its place in the upper bits of the first, its sign in the lowest, and the second decides whether it is
/// accepted. Above, it has four: two of place, that one, and one whose upper bit is the sign.
constexpr int kShortOctaves = 25;

/// The hits of one tile of one class, in the order of their numbers.
struct HitTile {
  uint64_t tile;
  size_t count;
  alignas(64) uint32_t words[4 * (kHitsMost + N)];
};

/// A hit that moves a code.
struct Accepted {
  uint64_t weight;
  int sign;
};

/// The hits of one call: of each class, the tile that was asked for last.
class Hits {
 public:
  Hits(const LawTable& law, Key key, uint32_t tick) : law_(law), key_(key), tick_(tick) {}
  Hits(const Hits&) = delete;
  Hits& operator=(const Hits&) = delete;
  ~Hits() {
    for (Class* made : classes_) free(made);
  }

  /// Calls use(accepted, count) for the hits of this class on weights [from, to) of the tensor whose word is below share(weight): one call a
  /// tile, all hits of a weight in one call and in the order of their numbers. ahead(accepted, count) has been called a tile earlier.
  template <class ShareOf, class Ahead, class Use>
  void each(int rare_class, uint64_t from, uint64_t to, ShareOf share, Ahead ahead, Use use) {
    const int octave = octave_of(rare_class), bits_of_place = kHitsMeanBits + octave;
    Accepted accepted[2][kHitsMost + 1];
    size_t counts[2] = {0, 0};
    int now = 0;
    for (uint64_t tile = from >> bits_of_place; tile << bits_of_place < to; tile++) {
      const uint64_t start = tile << bits_of_place, end = start + (uint64_t(1) << bits_of_place);
      const bool whole = start >= from && end <= to;
      const HitTile& hits = tile_of(rare_class, tile);
      counts[now] = octave > kShortOctaves ? accept_long(accepted[now], hits, octave, from, to, share)
                    : whole                ? accept<true>(accepted[now], hits, octave, from, to, share)
                                           : accept<false>(accepted[now], hits, octave, from, to, share);
      ahead(accepted[now], counts[now]);
      now ^= 1;
      use(accepted[now], counts[now]);
    }
    now ^= 1;
    use(accepted[now], counts[now]);
  }

 private:
  struct Class {
    HitTile hits;
    /// How many hits the tiles [first, first + N) have.
    uint64_t first;
    bool counted;
    uint32_t counts[N];
  };

  /// The hits of a tile that are accepted, those that lie in [from, to): `whole` says that all do.
  template <bool whole, class ShareOf>
  static size_t accept(Accepted* accepted, const HitTile& hits, int octave, uint64_t from, uint64_t to, ShareOf share) {
    const uint64_t start = hits.tile << (kHitsMeanBits + octave);
    const int shift = 32 - kHitsMeanBits - octave;
    size_t count = 0;
    for (size_t j = 0; j < hits.count; j++) {
      const uint32_t word = hits.words[2 * j], decides = hits.words[2 * j + 1];
      const uint64_t weight = start + (word >> shift);
      if (!whole && (weight < from || weight >= to)) continue;
      accepted[count] = {weight, 1 - 2 * int(word & 1)};
      count += decides < share(weight);
    }
    return count;
  }

  template <class ShareOf>
  static size_t accept_long(Accepted* accepted, const HitTile& hits, int octave, uint64_t from, uint64_t to, ShareOf share) {
    const uint64_t start = hits.tile << (kHitsMeanBits + octave);
    size_t count = 0;
    for (size_t j = 0; j < hits.count; j++) {
      const uint32_t* const w = hits.words + 4 * j;
      const uint64_t weight = start + (((uint64_t(w[0]) << 32) | w[1]) >> (64 - kHitsMeanBits - octave));
      if (weight < from || weight >= to) continue;
      accepted[count] = {weight, 1 - 2 * int(w[3] >> 31)};
      count += w[2] < share(weight);
    }
    return count;
  }

  const HitTile& tile_of(int rare_class, uint64_t tile) {
    Class*& slot = classes_[rare_class - kFirstClass];
    if (slot == nullptr) {
      slot = static_cast<Class*>(malloc(sizeof(Class)));
      if (slot == nullptr) abort();
      slot->hits.tile = ~uint64_t(0);
      slot->counted = false;
    }
    HitTile& found = slot->hits;
    if (found.tile == tile) return found;
    found.tile = tile;
    const uint32_t purpose = kHitPurpose + (uint32_t(rare_class) << 8);
    if (!slot->counted || tile < slot->first || tile - slot->first >= N) count_hits(*slot, tile, purpose, law_.hits + (rare_class & 3) * kHitsMost);
    found.count = slot->counts[tile - slot->first];
    const size_t words = (octave_of(rare_class) > kShortOctaves ? 4 : 2) * found.count, most = 4 * N;
    bits(found.words, (words + most - 1) / most * most, key_, {tile * uint64_t(kTileBlocks), 0, tick_, purpose});
    return found;
  }

  void count_hits(Class& of, uint64_t tile, uint32_t purpose, const uint32_t* law) {
    of.first = tile;
    of.counted = true;
    uint32_t words[N];
    store(words, Philox(key_, tick_, purpose)(tile * uint64_t(kTileBlocks) + kTileBlocks - 1, lanes_apart(kTileBlocks)).x0);
    // The first entry above the word, by halves.
    for (size_t l = 0; l < N; l++) {
      uint32_t count = 0;
      for (uint32_t step = kHitsMost; step > 0; step >>= 1) {
        const uint32_t next = count + step, last = next < uint32_t(kHitsMost) ? next : uint32_t(kHitsMost);
        count = (next <= uint32_t(kHitsMost)) & (words[l] >= law[last - 1]) ? next : count;
      }
      of.counts[l] = count;
    }
  }

  const LawTable& law_;
  Key key_;
  uint32_t tick_;
  Class* classes_[kLastClass - kFirstClass + 1] = {};
};

/// Puts the hits of one tile on codes that are bytes and nothing else, one by one, and counts codes that changed: a weight that is hit twice
/// counts once, or not at all when it is back where it was.
class HitMoves {
 public:
  /// `index`: the tensor's number of the first weight at `data`.
  HitMoves(uint8_t* data, uint64_t index, const int32_t* format) : data_(data), index_(index), lo_(format[kLo]), hi_(format[kHi]) {}

  void prefetch(const Accepted* accepted, size_t n) const {
    for (size_t j = 0; j < n; j++) brownian::prefetch<true>(data_ + size_t(accepted[j].weight - index_));
  }

  void apply(const Accepted* accepted, size_t n) {
    if (n == 0) return;
    for (size_t i = 0; i < sizeof(seen_); i += B_LANES) store_b(reinterpret_cast<uint8_t*>(seen_) + i, set1_b(0));
    for (size_t j = 0; j < n; j++) {
      const size_t i = size_t(accepted[j].weight - index_);
      const int code = int8_t(data_[i]);
      before_[j] = code;
      if (code <= lo_ || code >= hi_) continue;
      const int moved = code + accepted[j].sign;
      data_[i] = uint8_t(moved);
      uint64_t& seen = seen_[(i >> 6) & 63];
      const uint64_t bit = uint64_t(1) << (i & 63);
      const int first = seen & bit ? first_of(accepted, j) : code;
      seen |= bit;
      changed += size_t(moved != first) - size_t(code != first);
    }
  }

  size_t changed = 0;

 private:
  /// The code of the weight of hit j before the first of its hits.
  int first_of(const Accepted* accepted, size_t j) const {
    size_t first = 0;
    while (accepted[first].weight != accepted[j].weight) first++;
    return before_[first];
  }

  uint8_t* data_;
  uint64_t index_;
  int lo_, hi_;
  alignas(64) uint64_t seen_[64];  // a set of weights by their last bits
  int before_[kHitsMost];
};

}  // namespace brownian::BROWNIAN_TARGET
