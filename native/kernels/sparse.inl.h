// The sparse path of `matched`, where the cost follows the number of moves: the counterpart of src/kernels/js/sparse.ts, which explains it.

constexpr float kSparseVariance = 0.015625f;
constexpr int kHighestLevel = 40;
constexpr int kTileBlocks = 256;

/// The level of a variance, 0 < v < kSparseVariance: 2^-(level + 1) <= v < 2^-level.
inline int level_of(float v) {
  const int level = 126 - int(float_bits(v) >> 23);
  return level < kHighestLevel ? level : kHighestLevel;
}

/// The share of the level's hits that are taken, as a 32-bit threshold.
inline uint32_t share_of(float v, int level) { return uint32_t(double(v) * double(uint64_t(1) << level) * 4294967296.0); }

/// A hit: its place in the tile (upper bits) and its number (lower 8), the word that decides whether it is taken, and its sign.
struct Hit {
  uint64_t place_and_number;
  uint32_t take;
  int32_t sign;

  uint64_t place() const { return place_and_number >> 8; }
};

/// The hits of one tile of one level, in the order of their places; of one place, in the order of their numbers.
struct HitTile {
  uint64_t tile;
  int count;
  int next;  // where the last range ended, so that ranges in ascending order need no search
  Hit hits[kHitsMost];
};

/// The hits of one call: of each level, the tile that was asked for last.
struct Hits {
  const LawTable& law;
  Key key;
  uint32_t tick;
  HitTile* levels[kHighestLevel + 1] = {};

  Hits(const LawTable& law, Key key, uint32_t tick) : law(law), key(key), tick(tick) {}
  Hits(const Hits&) = delete;
  Hits& operator=(const Hits&) = delete;
  ~Hits() {
    for (HitTile* tile : levels) free(tile);
  }

  /// Calls use(weight, hit) for every hit of this level on weights [from, to) of the tensor. All hits of one weight come together.
  template <class Use>
  void each(int level, uint64_t from, uint64_t to, Use use) {
    const int bits_of_place = kHitsMeanBits + level;
    for (uint64_t tile = from >> bits_of_place; tile << bits_of_place < to; tile++) {
      HitTile& found = tile_of(level, tile);
      const uint64_t start = tile << bits_of_place;
      int j = found.next;
      while (j > 0 && start + found.hits[j - 1].place() >= from) j--;
      while (j < found.count && start + found.hits[j].place() < from) j++;
      for (; j < found.count && start + found.hits[j].place() < to; j++) use(start + found.hits[j].place(), found.hits[j]);
      found.next = j;
    }
  }

 private:
  HitTile& tile_of(int level, uint64_t tile) {
    HitTile*& slot = levels[level];
    if (slot == nullptr) {
      slot = static_cast<HitTile*>(malloc(sizeof(HitTile)));
      if (slot == nullptr) abort();
      slot->tile = ~tile;
    }
    HitTile& found = *slot;
    if (found.tile == tile) return found;
    found.tile = tile;
    found.next = 0;
    const uint32_t purpose = kHitPurpose + (uint32_t(level) << 8);
    uint32_t words[4 * kHitsMost];
    bits(words, 1, key, {tile * kTileBlocks + kTileBlocks - 1, 0, tick, purpose});
    found.count = 0;
    while (found.count < kHitsMost && words[0] >= law.hits[found.count]) found.count++;
    bits(words, size_t(found.count) * 4, key, {tile * kTileBlocks, 0, tick, purpose});
    // Sorted by place: into 64 buckets of about one hit each, and from there by insertion.
    const int bits_of_place = kHitsMeanBits + level;
    Hit unsorted[kHitsMost];
    uint8_t ends[64] = {};
    for (int j = 0; j < found.count; j++) {
      const uint32_t* w = words + 4 * j;
      const uint64_t place = ((uint64_t(w[0]) << 32) | w[1]) >> (64 - bits_of_place);
      unsorted[j] = {place << 8 | uint64_t(j), w[2], int32_t(w[3] >> 31 ? -1 : 1)};
      ends[w[0] >> 26]++;
    }
    for (int bucket = 1; bucket < 64; bucket++) ends[bucket] = uint8_t(ends[bucket] + ends[bucket - 1]);
    for (int j = found.count - 1; j >= 0; j--) found.hits[--ends[words[4 * j] >> 26]] = unsorted[j];
    for (int i = 1; i < found.count; i++) {
      const Hit hit = found.hits[i];
      int j = i;
      for (; j > 0 && found.hits[j - 1].place_and_number > hit.place_and_number; j--) found.hits[j] = found.hits[j - 1];
      found.hits[j] = hit;
    }
    return found;
  }
};

/// Where the bit fields of single codes lie. All counts in the table of formats are powers of two: shifts, not divisions.
struct CodeAt {
  struct FieldAt {
    int offset, bits, shift, mask, group, group_log, stride, run, run_log;
  };
  int weights, weights_log, bytes, bias, planes;
  FieldAt fields[2];

  explicit CodeAt(const int32_t* format)
      : weights(format[kWeights]), weights_log(log2(weights)), bytes(format[kBytes]), bias(format[kBias]), planes(format[kPlanes]) {
    for (int which = 0; which < planes; which++) {
      const Plane p(format, which);
      fields[which] = {p.offset, p.bits, p.shift, p.mask, p.group, log2(p.group), p.stride, p.run, log2(p.run)};
    }
  }

  int read(const uint8_t* data, size_t i) const {
    int code = 0;
    each(i, [&](const FieldAt& f, size_t byte, int bit) { code |= ((data[byte] >> bit) & f.mask) << f.shift; });
    return int8_t(code - bias);
  }

  void write(uint8_t* data, size_t i, int code) const {
    const int raw = code + bias;
    each(i, [&](const FieldAt& f, size_t byte, int bit) {
      data[byte] = uint8_t((data[byte] & ~(f.mask << bit)) | (((raw >> f.shift) & f.mask) << bit));
    });
  }

  static int log2(int n) {
    int log = 0;
    while (1 << log < n) log++;
    return log;
  }

 private:
  template <class Use>
  void each(size_t i, Use use) const {
    const int e = int(i) & (weights - 1);
    const size_t base = (i >> weights_log) * bytes;
    for (int which = 0; which < planes; which++) {
      const FieldAt& f = fields[which];
      const int in_group = e & (f.group - 1);
      use(f, base + f.offset + (e >> f.group_log) * f.stride + (in_group & (f.run - 1)), f.bits * (in_group >> f.run_log));
    }
  }
};

/// Counts codes that changed. Hits of one weight come together: it counts once, or not at all when it is back where it was.
struct Moved {
  uint64_t weight = ~uint64_t(0);
  int before = 0;
  size_t changed = 0;

  void note(uint64_t i, int from, int to) {
    if (i != weight) {
      weight = i;
      before = from;
      changed++;
    } else {
      changed += size_t(to != before) - size_t(from != before);
    }
  }
};
