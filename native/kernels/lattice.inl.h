// Moves on lattices: blocks of codes whose values are whole multiples of a step. Dense runs go tile by tile through all codes, sparse ones
// hit by hit (sparse.inl.h), with the symmetric truncation at the rails. Formulas: src/kernels/js/moves.ts.

/// Weights whose steps are read before their sparse moves are made; hits of most levels come in tiles that fit into it.
constexpr uint64_t kSpan = 65536;
constexpr size_t kSpanRuns = kSpan / 16;
/// The most runs of a tile.
constexpr size_t kTileRuns = kTile / 16;

/// The rails of codes as they are stored, put so that they and the codes compare unsigned.
struct Rails {
  uint8_t lo, hi, flip;

  explicit Rails(const int32_t* format) : flip(format[kPlaneBits] == 8 ? 0x80 : 0) {
    lo = uint8_t(format[kLo] + format[kBias]) ^ flip;
    hi = uint8_t(format[kHi] + format[kBias]) ^ flip;
  }
};

/// Moves codes by k, |k| at most the distance to the nearer rail, and counts how many changed.
class Mover {
 public:
  explicit Mover(const Rails& rails) : lo_(set1_b(rails.lo)), hi_(set1_b(rails.hi)), flip_(set1_b(rails.flip)), zero_(set1_b(0)), rails_(rails) {}

  B operator()(B code, B k) {
    const B at = xor_b(code, flip_);
    const B room = min_b(sub_floor_b(at, lo_), sub_floor_b(hi_, at));
    const B d = min_signed_b(max_signed_b(k, sub_b(zero_, room)), room);
    changed += count_nonzero_b(d);
    return add_b(code, d);
  }

  uint8_t operator()(uint8_t code, int8_t k) {
    const int at = code ^ rails_.flip, low = at - rails_.lo, high = rails_.hi - at;
    const int nearer = low < high ? low : high, room = nearer > 0 ? nearer : 0;
    const int d = k < -room ? -room : k > room ? room : k;
    changed += d != 0;
    return uint8_t(code + d);
  }

  size_t changed = 0;

 private:
  const B lo_, hi_, flip_, zero_;
  const Rails rails_;
};

/// codes[0, n) += k; returns how many changed.
inline size_t apply_moves(uint8_t* codes, const int8_t* k, size_t n, const Rails& rails) {
  Mover mover(rails);
  size_t i = 0;
  for (; i + B_LANES <= n; i += B_LANES) store_b(codes + i, mover(load_b(codes + i), load_b(reinterpret_cast<const uint8_t*>(k) + i)));
#if BROWNIAN_VECTORS
  for (; i < n; i++) codes[i] = mover(codes[i], k[i]);
#endif
  return mover.changed;
}

/// The same for runs of 32 codes that lie `stride` apart.
inline size_t apply_moves_32(uint8_t* codes, size_t stride, const int8_t* k, size_t runs, const Rails& rails) {
  Mover mover(rails);
  const uint8_t* from = reinterpret_cast<const uint8_t*>(k);
  size_t run = 0;
#if BROWNIAN_VECTORS
  if constexpr (B_LANES == 64) {
    for (; run + 2 <= runs; run += 2, codes += 2 * stride, from += 64) store_pieces_32(codes, stride, mover(load_pieces<32>(codes, stride), load_b(from)));
    if (run < runs) return mover.changed + apply_moves(codes, reinterpret_cast<const int8_t*>(from), 32, rails);
  }
#endif
  for (; run < runs; run++, codes += stride, from += 32) {
    for (int i = 0; i < 32; i += B_LANES) store_b(codes + i, mover(load_b(codes + i), load_b(from + i)));
  }
  return mover.changed;
}

#if BROWNIAN_VECTORS
/// The same for stretches of kRun bytes that lie `stride` apart, each with a code in its lower halves and, kRun codes later, one in its upper.
template <int kRun>
inline size_t apply_moves_nibbles(uint8_t* bytes, size_t stride, const int8_t* moves, size_t stretches, const Rails& rails) {
  Mover mover(rails);
  const uint8_t* k = reinterpret_cast<const uint8_t*>(moves);
  const B nibble = set1_b(15);
  if constexpr (kRun == B_LANES) {
    for (; stretches > 0; stretches--, bytes += stride, k += 2 * kRun) {
      const B both = load_b(bytes);
      const B low = mover(and_b(both, nibble), load_b(k)), high = mover(and_b(shr4_b(both), nibble), load_b(k + kRun));
      store_b(bytes, or_b(low, shl4_b(high)));
    }
  } else if constexpr (kRun < B_LANES) {
    constexpr size_t kAtOnce = B_LANES / (2 * kRun);
    for (; stretches >= kAtOnce; stretches -= kAtOnce, bytes += kAtOnce * stride, k += B_LANES) {
      store_nibbles<kRun>(bytes, stride, mover(and_b(load_nibbles<kRun>(bytes, stride), nibble), load_b(k)));
    }
    for (; stretches > 0; stretches--, bytes += stride, k += 2 * kRun) {
      for (int i = 0; i < kRun; i++) {
        const uint8_t low = mover(uint8_t(bytes[i] & 15), int8_t(k[i])), high = mover(uint8_t(bytes[i] >> 4), int8_t(k[i + kRun]));
        bytes[i] = uint8_t(low | high << 4);
      }
    }
  } else {
    static_assert(kRun == 2 * B_LANES, "two vectors");
    for (; stretches > 0; stretches--, bytes += stride, k += 2 * kRun) {
      for (int i = 0; i < kRun; i += B_LANES) {
        const B both = load_b(bytes + i);
        const B low = mover(and_b(both, nibble), load_b(k + i)), high = mover(and_b(shr4_b(both), nibble), load_b(k + kRun + i));
        store_b(bytes + i, or_b(low, shl4_b(high)));
      }
    }
  }
  return mover.changed;
}
#endif

inline bool in_table(const Move& move, float s) { return move.rounding == kMatched && s * s <= kCoarseVariance; }

/// A tile of blocks, moved by the moves in k.
inline size_t put_moves(uint8_t* data, size_t blocks, size_t n, const int8_t* k, const int32_t* format) {
  if (bare_bytes(format)) return apply_moves(data, k, n, Rails(format));
  if (format[kPlaneBits] == 8 && format[kPlaneRun] == 32 && format[kWeights] == 32) {
    return apply_moves_32(data + format[kPlaneOffset], size_t(format[kBytes]), k, blocks, Rails(format));
  }
#if BROWNIAN_VECTORS
  if (format[kPlanes] == 1 && format[kPlaneBits] == 4) {
    const int run = format[kPlaneRun];
    uint8_t* const first = data + format[kPlaneOffset];
    const size_t bytes = size_t(format[kBytes]), stride = size_t(format[kPlaneStride]), stretches = size_t(format[kWeights] / format[kPlaneGroup]);
    if (run == 16 && stretches == 1) return apply_moves_nibbles<16>(first, bytes, k, blocks, Rails(format));
    if (run == 32) {
      size_t changed = 0;
      for (size_t block = 0; block < blocks; block++) {
        changed += apply_moves_nibbles<32>(first + block * bytes, stride, k + block * size_t(format[kWeights]), stretches, Rails(format));
      }
      return changed;
    }
  }
#endif
  alignas(64) uint8_t codes[kTile];
  unpack(codes, data, blocks, format);
  const size_t changed = apply_moves(codes, k, n, Rails(format));
  if (changed > 0) pack(codes, data, blocks, format);
  return changed;
}

/// k[0, n) of groups with variances v under the law of the table, negative where nothing moves.
inline void table_groups(int8_t* k, size_t n, size_t group, const float* v, const LawTable& table, const Draws& draws) {
  AliasRows rows;
  const uint32_t* const words = draws.row_words(0);
  if (group == 32 && draws.index % kPiece == 0) {
    rows.set(v, words, n / 32);
    alias_groups<32>(k, 0, n, rows, table, draws);
    return;
  }
  // Two groups of 16 have one word; of longer ones, every 32 weights.
  const size_t piece = group < kPiece ? group : kPiece, pieces = n / piece;
  float variances[AliasRows::kMost];
  uint32_t word_of[AliasRows::kMost];
  for (size_t p = 0; p < pieces; p++) variances[p] = v[p * piece / group];
  for (size_t p = 0; p < pieces; p++) word_of[p] = words[p * piece / kPiece];
  rows.set(variances, word_of, pieces);
  if (piece == 16) alias_groups<16>(k, 0, n, rows, table, draws);
  else alias_groups<32>(k, 0, n, rows, table, draws);
}

/// Moves the dense runs of a tile: groups of `group` weights with noise s[run], of which those with levels[run] other than kDense rest.
struct Runs {
  static constexpr int8_t kDense = -1, kStill = -2;
};

inline size_t move_dense_groups(uint8_t* data, size_t blocks, size_t n, const Move& move, const LawTable& table, const float* s,
                                const int8_t* levels, Draws& draws) {
  alignas(64) int8_t k[kTile + 64];
  const size_t group = size_t(move.format[kGroup]), runs = n / group;
  const bool matched = move.rounding == kMatched;
  float v[kTileRuns];
  int8_t grids[kTileRuns + 4];
  int tabled = 0, refined = 0, kicked = 0;
  for (size_t r = 0; r < runs; r++) {
    const int dense = levels[r] == Runs::kDense, in_table = dense & int(matched & (s[r] * s[r] <= kCoarseVariance));
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
      if (levels[r] == Runs::kDense && v[r] < 0.0f) kick_run(k, r * group, group, s[r], move, draws, 4 * size_t(kicked) < runs);
    }
  }
  return put_moves(data, blocks, n, k, move.format);
}

/// Which kinds of runs there are.
struct Kinds {
  bool dense = false;
  uint64_t levels = 0;  // a set, bit by bit

  void add(const Kinds& other) {
    dense |= other.dense;
    levels |= other.levels;
  }
};

/// Of runs with noise s[0, n): the level, or whether a run is dense or still; the share where it has a level.
inline Kinds classify(const Move& move, const float* s, size_t n, int8_t* levels, uint32_t* shares) {
  const float sparse_below = move.rounding == kMatched ? kSparseVariance : 0.0f;
  int32_t kinds[kTileRuns];
  for (size_t r = 0; r < n; r++) {
    const float v = s[r] * s[r];
    const int level = level_of(v);
    shares[r] = share_of(v, level);
    const int sparse = v == 0.0f ? int(Runs::kStill) : level;
    const int moving = v < sparse_below ? sparse : int(Runs::kDense);
    kinds[r] = s[r] == 0.0f ? int(Runs::kStill) : moving;
  }
  for (size_t r = 0; r < n; r++) levels[r] = int8_t(kinds[r]);
  Kinds found;
  int dense = 0;
  for (size_t r = 0; r < n; r++) dense |= kinds[r] == Runs::kDense;
  for (size_t r = 0; r < n; r++) found.levels |= uint64_t(kinds[r] >= 0) << (kinds[r] & 63);
  found.dense = dense != 0;
  return found;
}

/// Blocks that hold their steps.
class GroupMover {
 public:
  GroupMover(const Move& move, const LawTable& table, Draws& draws, Hits& hits)
      : move_(move), table_(table), draws_(draws), hits_(hits), group_log_(CodeAt::log2(move.format[kGroup])) {}

  size_t operator()(uint8_t* data, size_t blocks) {
    const size_t weights = move_.format[kWeights], bytes = move_.format[kBytes];
    size_t changed = 0;
    for (size_t block = 0; block < blocks;) {
      const uint64_t index = move_.index + uint64_t(block) * weights;
      const size_t room = size_t((kSpan - index % kSpan + weights - 1) / weights);
      const size_t count = room < blocks - block ? room : blocks - block;
      ahead_ = data + (block + count) * bytes;
      ahead_end_ = data + (block + count + (room < blocks - block - count ? room : blocks - block - count)) * bytes;
      changed += span(data + block * bytes, count, index);
      block += count;
    }
    return changed;
  }

 private:
  size_t span(uint8_t* data, size_t blocks, uint64_t index) {
    const size_t weights = move_.format[kWeights], bytes = move_.format[kBytes], tile_blocks = kTile / weights;
    size_t changed = 0;
    Kinds all;
    for (size_t block = 0, run = 0; block < blocks;) {
      const size_t room = tile_blocks - size_t((index / weights + block) % tile_blocks), count = room < blocks - block ? room : blocks - block;
      uint8_t* at = data + block * bytes;
      float s[kTileRuns];
      const size_t runs = read_steps(s, at, count, move_.format);
      scales_in_steps(move_, s, runs);
      const Kinds kinds = classify(move_, s, runs, levels_ + run, shares_ + run);
      all.add(kinds);
      if (kinds.dense) {
        draws_.begin(index + uint64_t(block) * weights, count * weights);
        changed += move_dense_groups(at, count, count * weights, move_, table_, s, levels_ + run, draws_);
      }
      run += runs;
      block += count;
    }
    for (int level = 0; all.levels >> level != 0; level++) {
      if (all.levels >> level & 1) changed += sparse(data, index, uint64_t(blocks) * weights, level);
    }
    return changed;
  }

  size_t sparse(uint8_t* data, uint64_t index, uint64_t n, int level) {
    HitMoves<CodeAt> moves(data, index, move_.format);
    hits_.each(
        level, index, index + n,
        [&](uint64_t from, uint64_t to) {
          const size_t first = size_t(from - index) >> group_log_, last = size_t(to - 1 - index) >> group_log_;
          return memchr(levels_ + first, level, last - first + 1) != nullptr;
        },
        [&](uint64_t weight) {
          // The next span is brought near meanwhile, a line a hit.
          if (ahead_ < ahead_end_) {
            prefetch<false>(ahead_);
            ahead_ += 64;
          }
          const size_t run = size_t(weight - index) >> group_log_;
          return shares_[run] & (0u - uint32_t(levels_[run] == level));
        },
        [](const Taken*, size_t) {}, [&](const Taken* taken, size_t count) { moves.apply(taken, count); });
    return moves.changed;
  }

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
  Hits& hits_;
  int group_log_;
  const uint8_t *ahead_ = nullptr, *ahead_end_ = nullptr;
  int8_t levels_[kSpanRuns + kTileRuns];
  uint32_t shares_[kSpanRuns + kTileRuns];
};

/// Splits weights [0, n), of which the first is weight `index` of the tensor, where rows (and so external steps) change.
template <class Use>
inline void each_row(const float* steps, uint64_t row_length, uint64_t index, uint64_t n, Use use) {
  for (uint64_t start = 0; start < n;) {
    const uint64_t row = (index + start) / row_length;
    const uint64_t left = (row + 1) * row_length - index - start;
    const uint64_t length = left < n - start ? left : n - start;
    use(start, length, steps[row]);
    start += length;
  }
}

/// A row by its step.
struct Row {
  float s;
  int8_t level;
  uint32_t share;
  Kinds kinds;

  Row(const Move& move, float step) : s(scale_in_steps(move, step)) { kinds = classify(move, &s, 1, &level, &share); }
};

/// Codes without a step of their own: rows with one given step each. Sparse rows are visited hit by hit, without looking at anything else.
class RowMover {
 public:
  RowMover(const Move& move, const LawTable& table, Draws& draws, Hits& hits) : move_(move), table_(table), draws_(draws), hits_(hits) {}

  size_t operator()(uint8_t* data, size_t n) {
    Kinds all;
    size_t rows = 0;
    each_row(move_.steps, move_.row_length, move_.index, n, [&](uint64_t, uint64_t, float step) {
      all.add(Row(move_, step).kinds);
      rows++;
    });
    size_t changed = 0;
    for (size_t tile = 0; all.dense && tile < n;) {
      const size_t room = kTile - size_t((move_.index + tile) % kTile), count = n - tile < room ? n - tile : room;
      draws_.begin(move_.index + tile, count);
      changed += dense_tile(data + tile, count);
      tile += count;
    }
    for (int level = 0; all.levels >> level != 0; level++) {
      if (all.levels >> level & 1) changed += rows == 1 ? sparse(data, n, level, true) : sparse(data, n, level, false);
    }
    return changed;
  }

 private:
  size_t dense_tile(uint8_t* data, size_t n) {
    alignas(64) int8_t k[kTile + 64];
    each_row(move_.steps, move_.row_length, draws_.index, n, [&](size_t start, size_t length, float step) {
      const Row row(move_, step);
      if (!row.kinds.dense) memset(k + start, 0, length);
      else if (in_table(move_, row.s)) {
        const Grid grid(row.s * row.s);
        alias_run(k, start, length, table_, grid.variance, draws_);
        if (grid.bits > 0) refine_moves(k + start, length, grid.bits, draws_.fine() + start);
      }
      else kick_run(k, start, length, row.s, move_, draws_, 4 * length < n);
    });
    return put_moves(data, n, n, k, move_.format);
  }

  size_t sparse(uint8_t* data, size_t n, int level, bool one_row) {
    HitMoves<BareCodeAt> moves(data, move_.index, move_.format);
    const auto share_of_row = [&](uint64_t number) {
      const Row row(move_, move_.steps[number]);
      return row.level == level ? row.share : 0;
    };
    const auto wanted = [](uint64_t, uint64_t) { return true; };
    const auto ahead = [&](const Taken* taken, size_t count) { moves.prefetch(taken, count); };
    const auto use = [&](const Taken* taken, size_t count) { moves.apply(taken, count); };
    if (one_row) {
      const uint32_t share = share_of_row(move_.index / move_.row_length);
      hits_.each(level, move_.index, move_.index + n, wanted, [&](uint64_t) { return share; }, ahead, use);
    } else {
      hits_.each(level, move_.index, move_.index + n, wanted, [&](uint64_t weight) { return share_of_row(weight / move_.row_length); }, ahead, use);
    }
    return moves.changed;
  }

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
  Hits& hits_;
};
