// The sparse path of `matched`, where the cost follows the number of moves: the counterpart of src/kernels/js/sparse.ts, which explains it.

constexpr float kSparseVariance = 0.015625f;
constexpr int kHighestLevel = 40;
constexpr uint32_t kTileBlocks = 256;

/// The level of a variance, 0 < v < kSparseVariance: 2^-(level + 1) <= v < 2^-level.
inline int level_of(float v) {
  const int level = 126 - int(float_bits(v) >> 23);
  return level < kHighestLevel ? level : kHighestLevel;
}

/// The share of the level's hits that are taken, floor(v 2^level 2^32): below the highest level, v's mantissa.
inline uint32_t share_of(float v, int level) {
  const uint32_t bits = float_bits(v);
  const uint32_t mantissa = ((bits & 0x7fffff) | 0x800000) << 8;
  const int below = 126 - int(bits >> 23) - level;
  return below < 32 ? mantissa >> below : 0;
}

/// Up to this level a hit has two words: its place in the upper bits of the first, its sign in the lowest, and the second decides whether it is
/// taken. Above, it has four: two of place, that one, and one whose upper bit is the sign.
constexpr int kShortLevels = 25;

inline int trailing_zeros(uint64_t x) {
#if defined(__GNUC__)
  return __builtin_ctzll(x);
#else
  int n = 0;
  for (; (x & 1) == 0; x >>= 1) n++;
  return n;
#endif
}

/// The hits of one tile of one level, in the order of their numbers.
struct HitTile {
  uint64_t tile;
  size_t count;
  alignas(64) uint32_t words[4 * (kHitsMost + N)];
};

/// A hit that moves a code.
struct Taken {
  uint64_t weight;
  uint32_t take;
  int sign;
};

/// The hits of one call: of each level, the tile that was asked for last.
class Hits {
 public:
  Hits(const LawTable& law, Key key, uint32_t tick) : law_(law), key_(key), tick_(tick) {}
  Hits(const Hits&) = delete;
  Hits& operator=(const Hits&) = delete;
  ~Hits() {
    for (uint64_t left = known_; left != 0; left &= left - 1) free(levels_[trailing_zeros(left)]);
  }

  /// Calls use(taken, count) for the hits of this level on weights [from, to) of the tensor that are below share(weight): one call a tile,
  /// all hits of a weight in one call and in the order of their numbers. ahead(taken, count) has been called a tile earlier. Leaves out the
  /// tiles of whose weights none has wanted(from, to).
  template <class Wanted, class ShareOf, class Ahead, class Use>
  void each(int level, uint64_t from, uint64_t to, Wanted wanted, ShareOf share, Ahead ahead, Use use) {
    const int bits_of_place = kHitsMeanBits + level;
    Taken taken[2][kHitsMost + 1];
    size_t counts[2] = {0, 0};
    int now = 0;
    for (uint64_t tile = from >> bits_of_place; tile << bits_of_place < to; tile++) {
      const uint64_t start = tile << bits_of_place, end = start + (uint64_t(1) << bits_of_place);
      const bool whole = start >= from && end <= to;
      if (!wanted(start > from ? start : from, end < to ? end : to)) continue;
      const HitTile& hits = tile_of(level, tile);
      counts[now] = level > kShortLevels ? take_long(taken[now], hits, level, from, to, share)
                    : whole              ? take<true>(taken[now], hits, level, from, to, share)
                                         : take<false>(taken[now], hits, level, from, to, share);
      ahead(taken[now], counts[now]);
      now ^= 1;
      use(taken[now], counts[now]);
    }
    now ^= 1;
    use(taken[now], counts[now]);
  }

 private:
  struct Level {
    HitTile hits;
    /// How many hits the tiles [first, first + N) have.
    uint64_t first;
    bool counted;
    uint32_t counts[N];
  };

  /// The hits of a tile that are taken, those that lie in [from, to): `whole` says that all do.
  template <bool whole, class ShareOf>
  static size_t take(Taken* taken, const HitTile& hits, int level, uint64_t from, uint64_t to, ShareOf share) {
    const uint64_t start = hits.tile << (kHitsMeanBits + level);
    const int shift = 32 - kHitsMeanBits - level;
    size_t count = 0;
    for (size_t j = 0; j < hits.count; j++) {
      const uint32_t word = hits.words[2 * j], decides = hits.words[2 * j + 1];
      const uint64_t weight = start + (word >> shift);
      if (!whole && (weight < from || weight >= to)) continue;
      taken[count] = {weight, decides, 1 - 2 * int(word & 1)};
      count += decides < share(weight);
    }
    return count;
  }

  template <class ShareOf>
  static size_t take_long(Taken* taken, const HitTile& hits, int level, uint64_t from, uint64_t to, ShareOf share) {
    const uint64_t start = hits.tile << (kHitsMeanBits + level);
    size_t count = 0;
    for (size_t j = 0; j < hits.count; j++) {
      const uint32_t* const w = hits.words + 4 * j;
      const uint64_t weight = start + (((uint64_t(w[0]) << 32) | w[1]) >> (64 - kHitsMeanBits - level));
      if (weight < from || weight >= to) continue;
      taken[count] = {weight, w[2], 1 - 2 * int(w[3] >> 31)};
      count += w[2] < share(weight);
    }
    return count;
  }

  const HitTile& tile_of(int level, uint64_t tile) {
    Level*& slot = levels_[level];
    if ((known_ >> level & 1) == 0) {
      slot = static_cast<Level*>(malloc(sizeof(Level)));
      if (slot == nullptr) abort();
      known_ |= uint64_t(1) << level;
      slot->hits.tile = ~uint64_t(0);
      slot->counted = false;
    }
    HitTile& found = slot->hits;
    if (found.tile == tile) return found;
    found.tile = tile;
    const uint32_t purpose = kHitPurpose + (uint32_t(level) << 8);
    if (!slot->counted || tile < slot->first || tile - slot->first >= N) count_hits(*slot, tile, purpose);
    found.count = slot->counts[tile - slot->first];
    const size_t words = (level > kShortLevels ? 4 : 2) * found.count, most = 4 * N;
    bits(found.words, (words + most - 1) / most * most, key_, {tile * uint64_t(kTileBlocks), 0, tick_, purpose});
    return found;
  }

  void count_hits(Level& level, uint64_t tile, uint32_t purpose) {
    level.first = tile;
    level.counted = true;
    uint32_t words[N];
    store(words, Philox(key_, tick_, purpose)(tile * uint64_t(kTileBlocks) + kTileBlocks - 1, lanes_apart(kTileBlocks)).x0);
    // The first entry above the word, by halves.
    for (size_t l = 0; l < N; l++) {
      uint32_t count = 0;
      for (uint32_t step = 128; step > 0; step >>= 1) {
        const uint32_t next = count + step, last = next < uint32_t(kHitsMost) ? next : uint32_t(kHitsMost);
        count = (next <= uint32_t(kHitsMost)) & (words[l] >= law_.hits[last - 1]) ? next : count;
      }
      level.counts[l] = count;
    }
  }

  const LawTable& law_;
  Key key_;
  uint32_t tick_;
  uint64_t known_ = 0;  // levels, bit by bit, that have a place
  Level* levels_[kHighestLevel + 1];
};

/// Where the bit fields of single codes lie. All counts in the table of formats are powers of two: shifts, not divisions.
class CodeAt {
 public:
  explicit CodeAt(const int32_t* format)
      : weights_log_(log2(format[kWeights])), bytes_(format[kBytes]), planes_(format[kPlanes]), signed_(format[kPlaneBits] == 8) {
    for (int which = 0; which < planes_; which++) {
      const Plane p(format, which);
      fields_[which] = {p.offset, p.bits, p.shift, p.mask, p.group, log2(p.group), p.stride, p.run, log2(p.run)};
    }
  }

  /// Code i as it is stored, before the bias.
  int read(const uint8_t* data, size_t i) const {
    int code = 0;
    each(i, [&](const FieldAt& f, size_t byte, int bit) { code |= ((data[byte] >> bit) & f.mask) << f.shift; });
    return signed_ ? int8_t(code) : code;
  }

  void write(uint8_t* data, size_t i, int code) const {
    each(i, [&](const FieldAt& f, size_t byte, int bit) {
      data[byte] = uint8_t((data[byte] & ~(f.mask << bit)) | (((code >> f.shift) & f.mask) << bit));
    });
  }

  /// The bytes that hold code i, with what else they hold.
  void copy(uint8_t* to, const uint8_t* from, size_t i) const {
    each(i, [&](const FieldAt&, size_t byte, int) { to[byte] = from[byte]; });
  }

  void prefetch(const uint8_t* data, size_t i) const {
    each(i, [&](const FieldAt&, size_t byte, int) { brownian::prefetch<true>(data + byte); });
  }

  static int log2(int n) {
    int log = 0;
    while (1 << log < n) log++;
    return log;
  }

 private:
  struct FieldAt {
    int offset, bits, shift, mask, group, group_log, stride, run, run_log;
  };

  template <class Use>
  void each(size_t i, Use use) const {
    const int e = int(i) & ((1 << weights_log_) - 1);
    const size_t base = (i >> weights_log_) * bytes_;
    for (int which = 0; which < planes_; which++) {
      const FieldAt& f = fields_[which];
      const int in_group = e & (f.group - 1);
      use(f, base + f.offset + (e >> f.group_log) * f.stride + (in_group & (f.run - 1)), f.bits * (in_group >> f.run_log));
    }
  }

  int weights_log_;
  size_t bytes_;
  int planes_;
  bool signed_;
  FieldAt fields_[2];
};

/// Codes that are bytes and nothing else.
struct BareCodeAt {
  explicit BareCodeAt(const int32_t*) {}
  int read(const uint8_t* data, size_t i) const { return int8_t(data[i]); }
  void write(uint8_t* data, size_t i, int code) const { data[i] = uint8_t(code); }
  void prefetch(const uint8_t* data, size_t i) const { brownian::prefetch<true>(data + i); }
};

/// Puts the hits of one tile on the codes, one by one, and counts codes that changed: a weight that is hit twice counts once, or not at
/// all when it is back where it was.
template <class At>
class HitMoves {
 public:
  /// `index`: the tensor's number of the first weight at `data`.
  HitMoves(uint8_t* data, uint64_t index, const int32_t* format)
      : data_(data), index_(index), at_(format), lo_(format[kLo] + format[kBias]), hi_(format[kHi] + format[kBias]) {}

  void prefetch(const Taken* taken, size_t n) const {
    for (size_t j = 0; j < n; j++) at_.prefetch(data_, size_t(taken[j].weight - index_));
  }

  void apply(const Taken* taken, size_t n) {
    if (n == 0) return;
    for (size_t i = 0; i < sizeof(seen_); i += B_LANES) store_b(reinterpret_cast<uint8_t*>(seen_) + i, set1_b(0));
    for (size_t j = 0; j < n; j++) {
      const size_t i = size_t(taken[j].weight - index_);
      const int code = at_.read(data_, i);
      before_[j] = code;
      if (code <= lo_ || code >= hi_) continue;
      const int moved = code + taken[j].sign;
      at_.write(data_, i, moved);
      uint64_t& seen = seen_[(i >> 6) & 63];
      const uint64_t bit = uint64_t(1) << (i & 63);
      const int first = seen & bit ? first_of(taken, j) : code;
      seen |= bit;
      changed += size_t(moved != first) - size_t(code != first);
    }
  }

  size_t changed = 0;

 private:
  /// The code of the weight of hit j before the first of its hits.
  int first_of(const Taken* taken, size_t j) const {
    size_t first = 0;
    while (taken[first].weight != taken[j].weight) first++;
    return before_[first];
  }

  uint8_t* data_;
  uint64_t index_;
  At at_;
  int lo_, hi_;
  alignas(64) uint64_t seen_[64];  // a set of weights by their last bits
  int before_[kHitsMost];
};
