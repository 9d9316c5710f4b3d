// Redraws at the cost of the moves alone: an index of the steps, made once a tensor, tells which hits of the sparse path (sparse.inl.h) can
// move anything, so that nothing else is looked at, neither to move nor to undo the move before.
//
// The index has a byte for every group, the class of its step, and two for every tile of kTile weights, its smallest and its largest class.
// Classes are ranges of steps, four to an octave; what a step is exactly is read where a hit falls.

constexpr int kNoStep = 0, kAnyStep = 255;
/// The float bits of the smallest step that has a class of its own (2^-40), and how many lower bits a class leaves open.
constexpr uint32_t kFirstClass = uint32_t(127 - 40) << 23;
constexpr int kClassBits = 21;

inline uint8_t class_of(float step) {
  if (!(step > 0.0f)) return kNoStep;
  const int64_t from_first = (int64_t(float_bits(step)) - int64_t(kFirstClass)) >> kClassBits;
  return uint8_t(from_first < 0 || from_first >= kAnyStep - 1 ? int64_t(kAnyStep) : from_first + 1);
}

/// The index of `blocks` blocks, which begin a tensor or a multiple of kTile weights after it.
inline void index_steps(uint8_t* classes, uint8_t* tiles, const uint8_t* data, size_t blocks, const int32_t* format) {
  const size_t weights = format[kWeights], tile_blocks = kTile / weights;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    float steps[kTileRuns];
    const size_t groups = read_steps(steps, data + block * format[kBytes], count, format);
    int smallest = kAnyStep, largest = kNoStep;
    for (size_t g = 0; g < groups; g++) {
      const int c = class_of(step_size(steps[g]));
      *classes++ = uint8_t(c);
      if (c != kNoStep && c < smallest) smallest = c;
      if (c > largest) largest = c;
    }
    *tiles++ = uint8_t(smallest);
    *tiles++ = uint8_t(largest);
  }
}

/// What a move can do to the groups of each class.
struct ClassLaws {
  uint64_t levels[256];  // the levels that a group may have, bit by bit
  uint32_t share[256];   // the largest share of hits of the first of them; of the others, all
  int8_t first[256];
  bool dense[256];       // a group may be dense

  explicit ClassLaws(const Move& move) {
    for (int c = 0; c < 256; c++) {
      levels[c] = 0;
      share[c] = 0;
      first[c] = 0;
      dense[c] = c == kAnyStep;
      if (c == kNoStep || c == kAnyStep) continue;
      const uint32_t low = kFirstClass + (uint32_t(c - 1) << kClassBits);
      const float most = variance(move, bits_float(low)), least = variance(move, bits_float(low + (1u << kClassBits) - 1));
      dense[c] = most >= kSparseVariance;
      if (dense[c] || most == 0.0f) continue;
      first[c] = int8_t(level_of(most));
      share[c] = share_of(most, first[c]);
      const int last = least > 0.0f ? level_of(least) : kHighestLevel;
      levels[c] = ((uint64_t(1) << (last + 1)) - 1) & ~((uint64_t(1) << first[c]) - 1);
    }
  }

  uint32_t share_at(int c, int level) const {
    if ((levels[c] >> level & 1) == 0) return 0;
    return level == first[c] ? share[c] : ~0u;
  }

  static float variance(const Move& move, float step) {
    const float s = scale_in_steps(move, step);
    return s * s;
  }
};

/// What a move touches in a stretch: tiles with groups that may be dense ("heavy"), and of the others the hits of the levels they may have.
class Plan {
 public:
  Plan(const Indexed& at, const Move& move) : at_(at), laws_(move), levels_(static_cast<uint64_t*>(malloc(at.tile_count() * sizeof(uint64_t)))) {
    if (levels_ == nullptr) abort();
    for (size_t tile = 0; tile < at.tile_count(); tile++) {
      const int smallest = at.tiles[2 * tile], largest = at.tiles[2 * tile + 1];
      levels_[tile] = 0;
      if (largest == kNoStep || move.sigma == 0.0f) continue;
      if (laws_.dense[smallest] || largest == kAnyStep) {
        levels_[tile] = kHeavy;
        heavies_++;
        continue;
      }
      // Levels rise with the step; where nothing moves at the smallest, nothing does.
      const uint64_t lowest = laws_.levels[smallest], highest = laws_.levels[largest];
      if (lowest == 0) continue;
      const uint64_t up_to = highest == 0 ? (uint64_t(1) << (kHighestLevel + 1)) - 1 : highest | (highest - 1);
      levels_[tile] = up_to & ~((lowest & (~lowest + 1)) - 1);
      all_ |= levels_[tile];
    }
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() { free(levels_); }

  /// Nanoseconds that visiting takes, about: a hit costs as much as some 40 weights of a full pass do.
  double cost() const {
    double hits = 0;
    for (size_t tile = 0; tile < at_.tile_count(); tile++) {
      for (uint64_t left = levels_[tile] & ~kHeavy; left != 0; left &= left - 1) {
        hits += double(kTile) / double(left & (~left + 1));
      }
    }
    return hits * kHitCost + double(heavies_ * kTile) * kFullCost;
  }
  static constexpr double kHitCost = 3, kFullCost = 0.25;

  template <class Use>
  void each_heavy(Use use) const {
    for (size_t tile = 0; heavies_ > 0 && tile < at_.tile_count(); tile++) {
      if (levels_[tile] == kHeavy) use(tile);
    }
  }

  /// Calls use(level, wanted, share) for every level that weights of the stretch may have; share(weight) is the share of its hits that may be
  /// taken, wanted(from, to) whether any weight may have hits of the level.
  template <class Use>
  void each_level(Use use) const {
    const int group_log = CodeAt::log2(at_.format[kGroup]);
    for (int level = 0; all_ >> level != 0; level++) {
      if ((all_ >> level & 1) == 0) continue;
      uint32_t shares[256];
      for (int c = 0; c < 256; c++) shares[c] = laws_.share_at(c, level);
      const auto wanted = [&](uint64_t from, uint64_t to) {
        uint64_t any = 0;
        for (size_t tile = tile_of(from), last = tile_of(to - 1); tile <= last; tile++) any |= levels_[tile] & ~kHeavy;
        return (any >> level & 1) != 0;
      };
      const uint8_t* const classes = at_.classes;
      const uint64_t first = at_.index;
      if (heavies_ == 0) {
        use(level, wanted, [&](uint64_t weight) { return shares[classes[size_t(weight - first) >> group_log]]; });
      } else {
        use(level, wanted, [&](uint64_t weight) {
          return levels_[tile_of(weight)] == kHeavy ? uint32_t(0) : shares[classes[size_t(weight - first) >> group_log]];
        });
      }
    }
  }

 private:
  static constexpr uint64_t kHeavy = uint64_t(1) << 63;

  size_t tile_of(uint64_t weight) const { return size_t((weight - at_.index) / kTile); }

  const Indexed& at_;
  const ClassLaws laws_;
  uint64_t* levels_;  // of each tile: a set, bit by bit, or kHeavy
  uint64_t all_ = 0;
  size_t heavies_ = 0;
};

/// live := pristine where `last` moved it; live is pristine moved by `last`.
inline void undo(uint8_t* live, const uint8_t* pristine, const Indexed& at, const Plan& plan, const Move& last, const LawTable& table) {
  Hits hits(table, last.key, last.tick);
  const CodeAt code(at.format);
  const auto place = [&](const Taken& hit) { return size_t(hit.weight - at.index); };
  plan.each_heavy([&](size_t tile) { memcpy(live + at.byte_of(tile), pristine + at.byte_of(tile), at.blocks_of(tile) * at.format[kBytes]); });
  plan.each_level([&](int level, auto wanted, auto share) {
    hits.each(
        level, at.index, at.index + at.weights, wanted, share,
        [&](const Taken* taken, size_t n) {
          for (size_t j = 0; j < n; j++) {
            code.prefetch(live, place(taken[j]));
            code.prefetch(pristine, place(taken[j]));
          }
        },
        [&](const Taken* taken, size_t n) {
          for (size_t j = 0; j < n; j++) code.copy(live, pristine, place(taken[j]));
        });
  });
}

/// live := pristine, moved; live is pristine. The same bytes as `perturb`; returns how many codes changed.
inline size_t perturb_indexed(uint8_t* live, const Indexed& at, const Plan& plan, const Move& move, const LawTable& table) {
  const int32_t* format = at.format;
  const size_t block_bytes = format[kBytes];
  const int group_log = CodeAt::log2(format[kGroup]), groups_log = CodeAt::log2(format[kWeights]) - group_log;
  Hits hits(table, move.key, move.tick);
  HitMoves<CodeAt> moves(live, at.index, format);
  size_t changed = 0;
  plan.each_heavy([&](size_t tile) {
    Move part = move;
    part.index = at.index + tile * kTile;
    changed += perturb(live + at.byte_of(tile), at.blocks_of(tile) * block_bytes, part, table);
  });
  plan.each_level([&](int level, auto wanted, auto share) {
    const auto exactly = [&](const Taken& hit) {
      const size_t group = size_t(hit.weight - at.index) >> group_log;
      const uint8_t* block = live + (group >> groups_log) * block_bytes;
      const float step = format[kStep] == kStepF16 ? read_half(block + format[kStepOffset])
                                                   : read_group(block, int(group & ((size_t(1) << groups_log) - 1)), format).step;
      const float v = ClassLaws::variance(move, step_size(step));
      return v > 0.0f && level_of(v) == level && hit.take < share_of(v, level);
    };
    hits.each(
        level, at.index, at.index + at.weights, wanted, share, [&](const Taken* taken, size_t n) { moves.prefetch(taken, n); },
        [&](Taken* taken, size_t n) {
          size_t left = 0;
          for (size_t j = 0; j < n; j++) {
            taken[left] = taken[j];
            left += exactly(taken[j]);
          }
          moves.apply(taken, left);
        });
  });
  return changed + moves.changed;
}

/// live := pristine, moved. live is pristine moved by `last`. Goes the way that takes less time.
inline size_t redraw(uint8_t* live, const uint8_t* pristine, const Indexed& at, const Move& last, const Move& move, const LawTable& table) {
  const Plan before(at, last), now(at, move);
  if (before.cost() + now.cost() < double(at.weights) * Plan::kFullCost) {
    undo(live, pristine, at, before, last, table);
    return perturb_indexed(live, at, now, move, table);
  }
  const size_t bytes = at.blocks() * at.format[kBytes];
  memcpy(live, pristine, bytes);
  Move whole = move;
  whole.index = at.index;
  return perturb(live, bytes, whole, table);
}
