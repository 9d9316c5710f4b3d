// Moves on lattices: blocks of codes whose values are whole multiples of a step. Dense runs go tile by tile through all codes, sparse ones
// hit by hit (rare_groups.inl.h, rare_rows.inl.h), with the symmetric truncation at the rails. Formulas: src/laws/moves.ts.

/// Weights whose steps are read before their rare moves are made.
constexpr uint64_t kSpan = RareSpan::kWeightsMost;
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

/// Which kinds of runs there are.
struct Kinds {
  bool dense = false, rare = false;
};

/// Of runs with noise s[0, n): parts those that move rarely, whose variances go to `rare` and whose s becomes 0, from the dense ones, whose
/// `rare` is 0.
inline Kinds part(const Move& move, float* s, float* rare, size_t n) {
  const float below = move.rounding == kMatched ? kSparseVariance : 0.0f;
  uint32_t dense = 0, any = 0;
  for (size_t r = 0; r < n; r++) {
    const float v = s[r] * s[r];
    rare[r] = v < below ? v : 0.0f;
    s[r] = v < below ? 0.0f : s[r];
    dense |= float_bits(s[r]);
    any |= float_bits(rare[r]);
  }
  return {dense != 0, any != 0};
}

/// Blocks that hold their steps.
class GroupMover {
 public:
  GroupMover(const Move& move, const LawTable& table, Draws& draws)
      : move_(move), table_(table), draws_(draws), rare_(move.key, move.tick), length_(rare_piece(move.format)),
        group_log_(log2(int(size_t(move.format[kGroup]) / length_))) {
    // What a byte times the square of a step is below where a piece may have hits, and what that square is above where no group is dense, with
    // room for rounding. Where sigma is in steps, every step counts as 1.
    const float variance = move.sigma * move.sigma * (1.0f + 1e-6f);
    rests_from_ = variance * 256.0f * float(length_);
    rare_above_ = variance / kSparseVariance;
    quick_ = move.rounding == kMatched && move.sigma > 1e-15f;
  }

  size_t operator()(uint8_t* data, size_t blocks) {
    const size_t weights = move_.format[kWeights], bytes = move_.format[kBytes];
    size_t changed = 0;
    for (size_t block = 0; block < blocks;) {
      const uint64_t index = move_.index + uint64_t(block) * weights;
      const size_t room = size_t((kSpan - index % kSpan + weights - 1) / weights);
      const size_t count = room < blocks - block ? room : blocks - block;
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
      const size_t room = tile_blocks - size_t((index / weights + block) % tile_blocks), count = room < blocks - block ? room : blocks - block;
      uint8_t* const at = data + block * bytes;
      float* const steps = steps_ + run;
      for (const uint8_t* line = at + kAhead; line < at + kAhead + count * bytes; line += 64) prefetch<false>(line);
      const size_t runs = read_steps(steps, at, count, move_.format);
      for (size_t r = 0; r < runs; r++) steps[r] = step_size(steps[r]);
      if (all_rare(steps, runs)) {
        any_rare = true;
        const auto may = [&](float byte, float square) { return byte * square < rests_from_; };
        if (move_.in_steps) flag_pieces(run, runs, [](size_t) { return 1.0f; }, may);
        else flag_pieces(run, runs, [&](size_t r) { return steps_[r] * steps_[r]; }, may);
      } else {
        float s[kTileRuns];
        memcpy(s, steps, runs * sizeof(float));
        scales_in_steps(move_, s, runs);
        const Kinds kinds = part(move_, s, variances_ + run, runs);
        if (kinds.rare) {
          any_rare = true;
          flag_pieces(run, runs, [&](size_t r) { return variances_[r] * 256.0f * float(length_); }, [](float byte, float limit) { return byte < limit; });
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

  /// Notes the pieces of runs [from, from + runs) whose byte may(byte, of(run)).
  template <class Of, class May>
  void flag_pieces(size_t from, size_t runs, Of of, May may) {
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
      PieceMover<std::decay_t<decltype(at)>> mover(data, length_, move_.format, at);
      const auto mean = [&](size_t piece) {
        const float s = scale_in_steps(move_, steps_[piece >> group_log_]), v = s * s;
        return v < kSparseVariance ? v * float(length_) : 0.0f;
      };
      RareBatch found;
      rare_.each(mean, found, [&](RareBatch& batch) -> RareBatch& {
        batch.each_hit([&](size_t j, int hits) { mover(batch.piece[j], hits, batch.places[j], [](size_t, int) {}); });
        return batch;
      });
      return mover.changed;
    });
  }

  /// Bytes that are brought near before their turn comes.
  static constexpr size_t kAhead = 16384;

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
  RareSpan rare_;
  const size_t length_;  // weights of a piece
  const int group_log_;  // pieces of a group, their binary logarithm
  float rests_from_, rare_above_;
  bool quick_;
  float steps_[kSpanRuns + kTileRuns];
  float variances_[kSpanRuns + kTileRuns];  // of groups that move rarely, where not all of a tile do
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

/// A row by its step: s where it is dense, the variance where it moves rarely.
struct Row {
  float s, rare;
  Kinds kinds;

  Row(const Move& move, float step) : s(scale_in_steps(move, step)) { kinds = part(move, &s, &rare, 1); }
};

/// Codes without a step of their own: rows with one given step each. Where moves are rare nothing is looked at but what is hit.
class RowMover {
 public:
  RowMover(const Move& move, const LawTable& table, Draws& draws) : move_(move), table_(table), draws_(draws) {}

  size_t operator()(uint8_t* data, size_t n) {
    bool dense = false, any_rare = false, classes[kLastClass - kFirstClass + 1] = {};
    size_t rows = 0;
    each_row(move_.steps, move_.row_length, move_.index, n, [&](uint64_t, uint64_t, float step) {
      const Row row(move_, step);
      dense |= row.kinds.dense;
      any_rare |= row.kinds.rare;
      if (row.kinds.rare) classes[class_of(row.rare) - kFirstClass] = true;
      rows++;
    });
    size_t changed = 0;
    for (size_t tile = 0; dense && tile < n;) {
      const size_t room = kTile - size_t((move_.index + tile) % kTile), count = n - tile < room ? n - tile : room;
      draws_.begin(move_.index + tile, count);
      changed += dense_tile(data + tile, count);
      tile += count;
    }
    if (!any_rare) return changed;
    Hits hits(table_, move_.key, move_.tick);
    for (int c = kLastClass; c >= kFirstClass; c--) {
      if (classes[c - kFirstClass]) changed += rare(data, n, hits, c, rows == 1);
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

  size_t rare(uint8_t* data, size_t n, Hits& hits, int rare_class, bool one_row) {
    HitMoves moves(data, move_.index, move_.format);
    const auto share_of_row = [&](uint64_t number) {
      const Row row(move_, move_.steps[number]);
      return row.kinds.rare && class_of(row.rare) == rare_class ? share_of(row.rare, rare_class) : 0;
    };
    const auto ahead = [&](const Taken* taken, size_t count) { moves.prefetch(taken, count); };
    const auto use = [&](const Taken* taken, size_t count) { moves.apply(taken, count); };
    if (one_row) {
      const uint32_t share = share_of_row(move_.index / move_.row_length);
      hits.each(rare_class, move_.index, move_.index + n, [&](uint64_t) { return share; }, ahead, use);
    } else {
      hits.each(rare_class, move_.index, move_.index + n, [&](uint64_t weight) { return share_of_row(weight / move_.row_length); }, ahead, use);
    }
    return moves.changed;
  }

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
};
