// One step of the dynamics `langevin`: the counterpart of src/laws/langevin.ts, which holds the formulas. Step by step for all
// weights of a tile: each loop is vectors.

/// Displacements of half floats are cut here, in steps.
constexpr float kFarthest = 4194304.0f;

/// What a kick's variance is made of: alpha + beta x^2 - c.
struct Kick {
  float alpha, beta;

  /// Of noise of s steps, by a row of betas; none at all where s is 0.
  Kick(const float* decay, int row, float s) {
    const float square = s * s;
    const int i = int(float_bits(square) >> 20) - kDecayFirst;
    const float found = decay[kDecayHead + row * kDecayColumns + (i < 0 ? 0 : i < kDecayColumns ? i : kDecayColumns - 1)];
    const float rest = decay[1] * square - found * square;
    beta = s > 0.0f ? found : 0.0f;
    alpha = s > 0.0f ? rest : 0.0f;
  }

  float variance(float x, float added) const {
    const float v = alpha + beta * (x * x) - added;
    return v > 0.0f ? v : 0.0f;
  }
};

inline float unit_uniform(uint32_t word) { return float(int32_t(word >> 8)) * 5.9604644775390625e-8f; }

/// The tile of a relaxation: displacements, in steps, and what becomes of them.
struct Pulls {
  alignas(64) float x[kTile], alpha[kTile], beta[kTile], v[kTile + N];
  alignas(64) int32_t next[kTile], bits[kTile];

  void set(size_t from, size_t n, const Kick& kick) {
    for (size_t i = from; i < from + n; i++) alpha[i] = kick.alpha;
    for (size_t i = from; i < from + n; i++) beta[i] = kick.beta;
  }

  /// next[0, n) from x, alpha and beta.
  void operator()(size_t n, float a, const LawTable& table, Draws& draws) {
    static const uint32_t none[kTile] = {};
    int displaced = 0, in_table = 0, large = 0, beyond = 0;
    for (size_t i = 0; i < n; i++) displaced |= x[i] != 0.0f;
    const uint32_t* words = displaced ? draws.pulls() : none;
    for (size_t i = 0; i < n; i++) {
      const float size = std::fabs(x[i]), pulled = a * size;
      const int whole = int(pulled);
      const float part = pulled - float(whole);
      const int steps = whole + int(unit_uniform(words[i]) < part);
      next[i] = x[i] < 0.0f ? -steps : steps;
      const float variance = alpha[i] + beta[i] * (size * size) - part * (1.0f - part);
      v[i] = variance > 0.0f ? variance : 0.0f;
    }
    for (size_t i = 0; i < n; i++) large |= v[i] > kTableVariance;
    for (size_t i = 0; large && i < n; i++) {
      const float served = v[i] <= kCoarseVariance ? v[i] : 0.0f;
      const Grid grid(served);
      bits[i] = grid.bits;
      v[i] = served > 0.0f ? grid.variance : v[i];
    }
    for (size_t i = 0; i < n; i++) in_table |= (v[i] > 0.0f) & (v[i] <= kTableVariance);
    for (size_t i = 0; large && i < n; i++) beyond |= v[i] > kTableVariance;
    if (in_table) add_table(n, table, large ? draws.fine() : nullptr, draws);
    if (beyond) add_kicks(n, draws);
  }

 private:
  void add_table(size_t n, const LawTable& table, const uint8_t* fine, Draws& draws) {
    alignas(64) int32_t k[kTile + N];
    table_each(k, n, table, v, draws);
    for (size_t i = 0; fine != nullptr && i < n; i++) {
      const int mask = (1 << bits[i]) - 1;
      k[i] = k[i] * (1 << bits[i]) + (fine[i] & mask) - (fine[i] >> 4 & mask);
    }
    for (size_t i = 0; i < n; i++) next[i] += v[i] <= kTableVariance ? k[i] : 0;
  }

  void add_kicks(size_t n, Draws& draws) {
    const float* z = draws.normals();
    const uint32_t* words = draws.rounding();
    for (size_t i = 0; i < n; i++) {
      const float variance = v[i] > kTableVariance ? v[i] : kTableVariance;
      const int size = int(matched_scale(variance) * std::fabs(z[i]) + centred_uniform(words[i]));
      const int k = z[i] < 0.0f ? -size : size;
      next[i] += v[i] > kTableVariance ? k : 0;
    }
  }
};

/// Calls use(start, length, step) for every run of a tile's weights that have one step.
template <class Use>
inline void each_run(const uint8_t* data, size_t blocks, size_t n, const Move& move, uint64_t index, Use use) {
  if (move.format[kStep] == kStepExternal) {
    each_row(move.steps, move.row_length, index, n, use);
    return;
  }
  float steps[kTile / 16];
  const size_t runs = read_steps(steps, data, blocks, move.format), group = move.format[kGroup];
  for (size_t r = 0; r < runs; r++) use(r * group, group, step_size(steps[r]));
}

/// Codes whose values are whole multiples of a step.
inline size_t relax_code_tile(uint8_t* live, const uint8_t* pristine, size_t blocks, const Move& move, const float* decay,
                              const LawTable& table, Draws& draws) {
  alignas(64) uint8_t to[kTile], from[kTile];
  Pulls pulls;
  const size_t n = blocks * move.format[kWeights];
  const Rails rails(move.format);
  const int lo = rails.lo, hi = rails.hi, flip = rails.flip;
  unpack(to, live, blocks, move.format);
  unpack(from, pristine, blocks, move.format);
  for (size_t i = 0; i < n; i++) pulls.x[i] = float(int(to[i] ^ flip) - int(from[i] ^ flip));
  each_run(pristine, blocks, n, move, draws.index,
           [&](size_t start, size_t length, float step) { pulls.set(start, length, Kick(decay, 0, scale_in_steps(move, step))); });
  pulls(n, decay[0], table, draws);
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const int p = from[i] ^ flip;
    const int nearer = p - lo < hi - p ? p - lo : hi - p;
    const int room = nearer > 0 ? nearer : 0;
    const int k = pulls.next[i] < -room ? -room : pulls.next[i] > room ? room : pulls.next[i];
    const uint8_t code = uint8_t((p + k) ^ flip);
    changed += code != to[i];
    to[i] = code;
  }
  if (changed > 0) pack(to, live, blocks, move.format);
  return size_t(changed);
}

/// The last level whose value is at most y.
inline int level_below(const Table& table, float y) {
  int level = 0;
  while (level < table.last && y >= float(table.values[level + 1])) level++;
  return level;
}

/// The level that a kick of variance v leads to from `level`, which is not at an end; no farther than `room` from `origin`.
inline int kicked_level(const Table& table, int level, int origin, int room, float v, Draws& draws, size_t i) {
  const int at = table.values[level], up = table.values[level + 1] - at, down = at - table.values[level - 1];
  if (v <= float(up * down)) {
    const int to = level + neighbour(v, up, down, draws, i);
    const int away = std::abs(table.values[to] - origin);
    return away > room && away > std::abs(at - origin) ? level : to;
  }
  const float scale = std::sqrt(v - float(up * down) * (1.0f / 6.0f));
  const float kicked = float(at) + scale * draws.normals()[i], least = float(origin - room), most = float(origin + room);
  const float y = kicked < least ? least : kicked > most ? most : kicked;
  const int below_y = level_below(table, y);
  if (below_y == table.last) return below_y;
  const float start = table.values[below_y];
  return centred_uniform(draws.rounding()[i]) < (y - start) / (float(table.values[below_y + 1]) - start) ? below_y + 1 : below_y;
}

/// Where the pull of one level leads from another: to `lower`, or with probability `part` to the next one above.
struct Pulled {
  int lower;
  float part, added;
};

inline Pulled pulled_level(const Table& table, int from, int level, float a) {
  const int origin = table.values[from];
  const float y = float(origin) + a * float(table.values[level] - origin);
  const int lower = level_below(table, y);
  const float below_y = y - float(table.values[lower]);
  if (!(below_y > 0.0f)) return {lower, 0.0f, 0.0f};
  const float above_y = float(table.values[lower + 1]) - y;
  return {lower, below_y / float(table.values[lower + 1] - table.values[lower]), below_y * above_y};
}

/// Codes that stand for the entries of a table.
inline size_t relax_table_tile(uint8_t* live, const uint8_t* pristine, size_t blocks, const Move& move, const float* decay, Draws& draws) {
  alignas(64) uint8_t to[kTile], from[kTile];
  const Table table = table_of(move.format[kLevels]);
  const size_t n = blocks * move.format[kWeights];
  Pulled pulled[16][16];
  for (int p = 0; p <= table.last; p++) {
    for (int level = 0; level <= table.last; level++) pulled[p][level] = pulled_level(table, p, level, decay[0]);
  }
  unpack(to, live, blocks, move.format);
  unpack(from, pristine, blocks, move.format);
  size_t changed = 0;
  each_run(pristine, blocks, n, move, draws.index, [&](size_t start, size_t length, float step) {
    const float given = move.in_steps ? move.sigma * table.mean_gap : move.sigma / step;
    const float s = step > 0.0f ? (given < kMaxS ? given : kMaxS) : 0.0f;
    for (size_t i = start; i < start + length; i++) {
      const int at = table.level(from[i]);
      uint8_t code = from[i];
      if (at > 0 && at < table.last) {
        const int was = table.level(to[i]), origin = table.values[at];
        const Pulled& pull = pulled[at][was];
        int level = pull.lower;
        if (pull.part > 0.0f && unit_uniform(draws.pulls()[i]) < pull.part) level++;
        if (s > 0.0f && level > 0 && level < table.last) {
          const float v = Kick(decay, at, s).variance(float(table.values[was] - origin), pull.added);
          const int below_at = origin - table.values[0], above_at = table.values[table.last] - origin;
          level = kicked_level(table, level, origin, below_at < above_at ? below_at : above_at, v, draws, i);
        }
        if (level != at) code = uint8_t(table.code(level));
      }
      changed += code != to[i];
      to[i] = code;
    }
  });
  if (changed > 0) pack(to, live, blocks, move.format);
  return changed;
}

/// a (w - p); a weight that is not finite stands where it belongs.
inline float drift(float a, float p, float w, float most) { return std::fabs(w) <= most ? a * clamp(w - p, most) : 0.0f; }

inline size_t relax_f32_tile(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay, Draws& draws) {
  const float* z = draws.normals();
  const float a = decay[0], b = decay[2];
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float p = read_f32(pristine, i), w = read_f32(live, i), size = std::fabs(p);
    const float scale = b * (move.in_steps ? finite(move.sigma * ulp_f32(p)) : move.sigma);
    const float moved = p + clamp(drift(a, p, w, kMaxF32) + scale * z[i], kMaxF32 - size);
    const uint32_t to = size <= kMaxF32 ? float_bits(moved) : float_bits(p);
    changed += to != float_bits(w);
    memcpy(live + 4 * i, &to, 4);
  }
  return size_t(changed);
}

template <class Format>
inline size_t relax_half_tile(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay,
                              const LawTable& table, Draws& draws) {
  uint16_t to[kTile], from[kTile];
  alignas(64) float p[kTile], w[kTile], step[kTile], s[kTile], d[kTile];
  Pulls pulls;
  const float a = decay[0], b = decay[2];
  memcpy(to, live, 2 * n);
  memcpy(from, pristine, 2 * n);
  int fine = 0, displaced = 0;
  for (size_t i = 0; i < n; i++) {
    p[i] = Format::value(from[i]);
    w[i] = Format::value(to[i]);
    step[i] = Format::step(p[i]);
    s[i] = scale_in_steps(move, step[i]);
  }
  for (size_t i = 0; i < n; i++) {
    const bool coarse = s[i] < kMaxS, usable = std::fabs(w[i]) <= Format::max;
    const float steps = clamp((w[i] - p[i]) / step[i], kFarthest);
    pulls.x[i] = coarse & usable ? steps : 0.0f;
    const Kick kick(decay, 0, coarse ? s[i] : 0.0f);
    pulls.alpha[i] = kick.alpha;
    pulls.beta[i] = kick.beta;
  }
  for (size_t i = 0; i < n; i++) {
    // Where p is not finite: it stays as it is, whatever is drawn.
    if (!(std::fabs(p[i]) <= Format::max)) pulls.x[i] = 0.0f;
  }
  pulls(n, a, table, draws);
  for (size_t i = 0; i < n; i++) d[i] = float(pulls.next[i]) * step[i];
  for (size_t i = 0; i < n; i++) fine |= !(s[i] < kMaxS);
  if (fine) {
    const float* z = draws.normals();
    for (size_t i = 0; i < n; i++) {
      const float scale = b * (move.in_steps ? finite(move.sigma * step[i]) : move.sigma);
      const float moved = drift(a, p[i], w[i], Format::max) + scale * z[i];
      d[i] = s[i] < kMaxS ? d[i] : moved;
    }
  }
  for (size_t i = 0; i < n; i++) displaced |= d[i] != 0.0f;
  static const uint32_t none[kTile] = {};
  const uint32_t* words = displaced ? draws.rounding() : none;
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float size = std::fabs(p[i]);
    const float y = p[i] + clamp(d[i], Format::max - size);
    const uint16_t moved = uint16_t(Format::magnitude(std::fabs(y), false, words[i]) | ((float_bits(y) >> 16) & 0x8000));
    const bool moves = (size <= Format::max) & (d[i] != 0.0f);
    const uint16_t kept = moves ? moved : from[i];
    changed += kept != to[i];
    to[i] = kept;
  }
  if (changed > 0) memcpy(live, to, 2 * n);
  return size_t(changed);
}

inline size_t relax(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay, const LawTable& table) {
  if (move.columns != nullptr) return relax_columns(live, pristine, bytes, move, decay);
  const int32_t* format = move.format;
  const size_t weights = format[kWeights], block_bytes = format[kBytes];
  const size_t blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  Draws draws(move.key, move.tick);
  size_t changed = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    const size_t n = count * weights;
    uint8_t* const to = live + block * block_bytes;
    const uint8_t* const from = pristine + block * block_bytes;
    draws.begin(move.index + uint64_t(block) * weights, n);
    switch (format[kKind]) {
      case kLattice:
        changed += format[kLevels] == kUniform ? relax_code_tile(to, from, count, move, decay, table, draws)
                                               : relax_table_tile(to, from, count, move, decay, draws);
        break;
      case kF32: changed += relax_f32_tile(to, from, n, move, decay, draws); break;
      case kF16: changed += relax_half_tile<F16>(to, from, n, move, decay, table, draws); break;
      default: changed += relax_half_tile<BF16>(to, from, n, move, decay, table, draws); break;
    }
  }
  return changed;
}
