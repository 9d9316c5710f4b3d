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

/// The hits of one tile of one level, in the order of their numbers.
struct HitTile {
  uint64_t tile;
  size_t count;
  uint64_t weights[kHitsMost + N];
  uint32_t takes[kHitsMost + N];
  uint32_t signs[kHitsMost + N];  // 0, or 1 for -1
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
    for (Level* level : levels_) free(level);
  }

  /// Calls use(taken, count) for the hits of this level on weights [from, to) of the tensor that are below share(weight): one call a tile,
  /// all hits of a weight in one call and in the order of their numbers. ahead(taken, count) has been called a tile earlier.
  template <class ShareOf, class Ahead, class Use>
  void each(int level, uint64_t from, uint64_t to, ShareOf share, Ahead ahead, Use use) {
    const int bits_of_place = kHitsMeanBits + level;
    Taken taken[2][kHitsMost];
    size_t counts[2] = {0, 0};
    int now = 0;
    for (uint64_t tile = from >> bits_of_place; tile << bits_of_place < to; tile++, now ^= 1) {
      const HitTile& hits = tile_of(level, tile);
      size_t count = 0;
      for (size_t j = 0; j < hits.count; j++) {
        const uint64_t weight = hits.weights[j];
        if (weight < from || weight >= to) continue;
        taken[now][count] = {weight, hits.takes[j], 1 - 2 * int(hits.signs[j])};
        count += hits.takes[j] < share(weight);
      }
      counts[now] = count;
      ahead(taken[now], count);
      use(taken[now ^ 1], counts[now ^ 1]);
    }
    use(taken[now ^ 1], counts[now ^ 1]);
  }

 private:
  struct Level {
    HitTile hits;
    /// How many hits the tiles [first, first + N) have.
    uint64_t first;
    bool counted;
    uint32_t counts[N];
  };

  const HitTile& tile_of(int level, uint64_t tile) {
    Level*& slot = levels_[level];
    if (slot == nullptr) {
      slot = static_cast<Level*>(malloc(sizeof(Level)));
      if (slot == nullptr) abort();
      slot->hits.tile = ~uint64_t(0);
      slot->counted = false;
    }
    HitTile& found = slot->hits;
    if (found.tile == tile) return found;
    found.tile = tile;
    const Philox philox(key_, tick_, kHitPurpose + (uint32_t(level) << 8));
    if (!slot->counted || tile < slot->first || tile - slot->first >= N) {
      count_hits(*slot, tile, philox);
    }
    found.count = slot->counts[tile - slot->first];
    const int bits_of_place = kHitsMeanBits + level;
    const uint64_t start = tile << bits_of_place;
    for (size_t j = 0; j < found.count; j += N) {
      const Words w = philox(tile * uint64_t(kTileBlocks) + j, lanes_apart(1));
      uint32_t high[N], low[N];
      store(high, w.x0);
      store(low, w.x1);
      store(found.takes + j, w.x2);
      store(found.signs + j, shr<31>(w.x3));
      if (bits_of_place <= 32) {
        for (size_t l = 0; l < N; l++) found.weights[j + l] = start + (high[l] >> (32 - bits_of_place));
      } else {
        for (size_t l = 0; l < N; l++) found.weights[j + l] = start + (((uint64_t(high[l]) << 32) | low[l]) >> (64 - bits_of_place));
      }
    }
    return found;
  }

  void count_hits(Level& level, uint64_t tile, const Philox& philox) {
    level.first = tile;
    level.counted = true;
    uint32_t words[N];
    store(words, philox(tile * uint64_t(kTileBlocks) + kTileBlocks - 1, lanes_apart(kTileBlocks)).x0);
    for (size_t l = 0; l < N; l++) {
      uint32_t count = 0;
      for (int j = 0; j < kHitsMost; j++) count += words[l] >= law_.hits[j];
      level.counts[l] = count;
    }
  }

  const LawTable& law_;
  Key key_;
  uint32_t tick_;
  Level* levels_[kHighestLevel + 1] = {};
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
    memset(seen_, 0, sizeof(seen_));
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
  uint64_t seen_[64];  // a set of weights by their last bits
  int before_[kHitsMost];
};
