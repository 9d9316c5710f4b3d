// Moves whose sigma goes by column: every weight has a variance of its own. The counterpart of src/laws/columns.ts, which holds the
// formulas. Step by step for all weights of a tile: each loop is vectors.

/// Below this variance moves are single steps; above, it is what rounding adds.
constexpr float kDither = 0.25f;

/// The draws of one tile, each made when first asked for.
struct ColumnDraws {
  Key key;
  uint32_t tick;
  uint64_t index = 0;
  size_t count = 0;
  bool has_words = false, has_normals = false, has_roundings = false, has_pulls = false;
  // Room for what vectors write beyond the last weight.
  alignas(64) uint32_t word_store[kTile + 16];
  alignas(64) float normal_store[kTile + 16];
  alignas(64) uint32_t rounding_store[kTile + 16];
  alignas(64) uint32_t pull_store[kTile + 16];

  ColumnDraws(Key key, uint32_t tick) : key(key), tick(tick) {}

  void begin(uint64_t at, size_t n) {
    index = at;
    count = n;
    has_words = has_normals = has_roundings = has_pulls = false;
  }
  const uint32_t* words() { return made(word_store, has_words, kColumnPurpose); }
  const uint32_t* roundings() { return made(rounding_store, has_roundings, kRoundingPurpose); }
  const uint32_t* pulls() { return made(pull_store, has_pulls, kPullPurpose); }
  const float* normals() {
    if (!has_normals) normal(normal_store, count, key, at(index, kNormalPurpose));
    has_normals = true;
    return normal_store;
  }
  uint32_t refine(size_t i) const {
    uint32_t word;
    bits(&word, 1, key, at(index + i, kRefinePurpose));
    return word;
  }

 private:
  Position at(uint64_t first, uint32_t purpose) const { return {first >> 2, uint32_t(first & 3), tick, purpose}; }
  const uint32_t* made(uint32_t* store, bool& has, uint32_t purpose) {
    if (!has) bits(store, count, key, at(index, purpose));
    has = true;
    return store;
  }
};

/// Whether random bits w, with 32 more where they do not decide, are below a threshold of at most 2^32.
inline bool word_below(uint32_t w, float threshold, const ColumnDraws& draws, size_t i) {
  const uint64_t high = uint64_t(threshold);
  return w < high || (w == high && draws.refine(i) < uint32_t((threshold - float(high)) * 4294967296.0f));
}

/// k[0, n): moves of variances v, mean 0.
inline void column_kicks(int32_t* k, const float* v, size_t n, ColumnDraws& draws) {
  const uint32_t* words = draws.words();
  int dithered = 0, open = 0;
  for (size_t i = 0; i < n; i++) {
    const bool rare = v[i] < kDither;
    const int high = int((rare ? v[i] : 0.0f) * 2147483648.0f), m = int(words[i] >> 1);
    k[i] = m < high ? 1 - 2 * int(words[i] & 1) : 0;
    open |= m == high;
    dithered |= !rare;
  }
  for (size_t i = 0; open && i < n; i++) {
    if (v[i] < kDither && int(words[i] >> 1) == int(v[i] * 2147483648.0f)) {
      k[i] = word_below(words[i] >> 1, v[i] * 2147483648.0f, draws, i) ? 1 - 2 * int(words[i] & 1) : 0;
    }
  }
  if (!dithered) return;
  const float* z = draws.normals();
  for (size_t i = 0; i < n; i++) {
    const float rest = v[i] - kDither, scale = std::sqrt(rest > 0.0f ? rest : 0.0f);
    const float dither = float(int(words[i] >> 16) - int(words[i] & 0xffff)) * 1.52587890625e-5f;
    const float y = scale * z[i] + dither;
    const int size = int(std::fabs(y) + 0.5f);
    const int moved = y < 0.0f ? -size : size;
    k[i] = v[i] < kDither ? k[i] : moved;
  }
}

/// The sigma of each of the weights [index, index + n).
inline void column_sigmas(float* sigma, uint64_t index, size_t n, const Move& move) {
  const uint64_t width = move.columns_width, matrix = move.columns_matrix;
  const float* factors = move.columns + index / matrix * width;
  uint64_t column = index % width, in_matrix = index % matrix;
  for (size_t i = 0; i < n;) {
    const size_t length = width - column < n - i ? size_t(width - column) : n - i;
    for (size_t j = 0; j < length; j++) sigma[i + j] = finite(move.sigma * factors[column + j]);
    i += length;
    in_matrix += length;
    column = 0;
    if (in_matrix == matrix) {
      in_matrix = 0;
      factors += width;
    }
  }
}

/// The step of each weight of a tile; 0 where there is none.
inline void column_steps(float* step, const uint8_t* data, size_t blocks, const int32_t* format) {
  float steps[kTile / 16];
  const size_t runs = read_steps(steps, data, blocks, format), group = format[kGroup];
  for (size_t r = 0; r < runs; r++) {
    const float size = step_size(steps[r]);
    for (size_t i = 0; i < group; i++) step[r * group + i] = size;
  }
}

/// Noise in units of the step, of weight i of a tile.
inline float column_scale(float sigma, bool in_steps, float step) {
  const float s = in_steps ? sigma : sigma / step;
  const float bounded = s < kMaxS ? s : kMaxS;
  return step > 0.0f ? bounded : 0.0f;
}

inline float column_level_scale(float sigma, bool in_steps, float step, const Table& table) {
  return column_scale(in_steps ? sigma * table.mean_gap : sigma, in_steps, step);
}

/// What a tile is worked on with.
struct ColumnTile {
  alignas(64) float sigma[kTile], step[kTile], v[kTile], alpha[kTile], beta[kTile], x[kTile];
  alignas(64) int32_t k[kTile];
  alignas(64) uint8_t codes[kTile], pristine[kTile];
  uint16_t halves[kTile], pristine_halves[kTile];
};

/// The codes of a tile put k away from those in `from`, |k| at most their distance to the nearer rail; returns how many of `codes` changed.
inline size_t put_displacements(uint8_t* codes, const uint8_t* from, const int32_t* k, size_t n, const int32_t* format) {
  const Rails rails(format);
  const int lo = rails.lo, hi = rails.hi, flip = rails.flip;
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const int p = from[i] ^ flip;
    const int nearer = p - lo < hi - p ? p - lo : hi - p;
    const int room = nearer > 0 ? nearer : 0;
    const int by = k[i] < -room ? -room : k[i] > room ? room : k[i];
    const uint8_t code = uint8_t((p + by) ^ flip);
    changed += code != codes[i];
    codes[i] = code;
  }
  return size_t(changed);
}

inline size_t column_codes(uint8_t* data, size_t blocks, size_t n, const Move& move, ColumnTile& t, ColumnDraws& draws) {
  column_steps(t.step, data, blocks, move.format);
  int moving = 0;
  for (size_t i = 0; i < n; i++) {
    const float s = column_scale(t.sigma[i], move.in_steps, t.step[i]);
    t.v[i] = s * s;
    moving |= s > 0.0f;
  }
  if (!moving) return 0;
  column_kicks(t.k, t.v, n, draws);
  unpack(t.codes, data, blocks, move.format);
  const size_t changed = put_displacements(t.codes, t.codes, t.k, n, move.format);
  if (changed > 0) pack(t.codes, data, blocks, move.format);
  return changed;
}

/// The level that a kick of variance v leads to from `level`, which is not at an end; no farther than `room` from `origin`.
inline int column_kick_level(const Table& table, int level, int origin, int room, float v, ColumnDraws& draws, size_t i) {
  const int at = table.values[level], up = table.values[level + 1] - at, down = at - table.values[level - 1];
  if (v <= float(up * down)) {
    const uint32_t w = draws.words()[i];
    int to = level;
    if (word_below(w, v / float(up * (up + down)) * 4294967296.0f, draws, i)) to++;
    else if (word_below(~w, v / float(down * (up + down)) * 4294967296.0f, draws, i)) to--;
    const int away = std::abs(table.values[to] - origin);
    return away > room && away > std::abs(at - origin) ? level : to;
  }
  const float scale = std::sqrt(v - float(up * down) * (1.0f / 6.0f));
  const float kicked = float(at) + scale * draws.normals()[i], least = float(origin - room), most = float(origin + room);
  const float y = kicked < least ? least : kicked > most ? most : kicked;
  const int lower = level_below(table, y);
  if (lower == table.last) return lower;
  const float start = table.values[lower];
  const float part = (y - start) / (float(table.values[lower + 1]) - start);
  return centred_uniform(draws.roundings()[i]) < part ? lower + 1 : lower;
}

inline size_t column_levels(uint8_t* data, size_t blocks, size_t n, const Move& move, ColumnTile& t, ColumnDraws& draws) {
  const Table table = table_of(move.format[kLevels]);
  column_steps(t.step, data, blocks, move.format);
  unpack(t.codes, data, blocks, move.format);
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    const int level = table.level(t.codes[i]);
    const float s = column_level_scale(t.sigma[i], move.in_steps, t.step[i], table);
    if (s == 0.0f || level == 0 || level == table.last) continue;
    const int x = table.values[level], below_x = x - table.values[0], above_x = table.values[table.last] - x;
    const int to = column_kick_level(table, level, x, below_x < above_x ? below_x : above_x, s * s, draws, i);
    if (to == level) continue;
    t.codes[i] = uint8_t(table.code(to));
    changed++;
  }
  if (changed > 0) pack(t.codes, data, blocks, move.format);
  return changed;
}

inline size_t column_f32(uint8_t* data, size_t n, const Move& move, const ColumnTile& t, ColumnDraws& draws) {
  const float* z = draws.normals();
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float w = read_f32(data, i), size = std::fabs(w);
    const float sigma = move.in_steps ? finite(t.sigma[i] * ulp_f32(w)) : t.sigma[i];
    const float moved = w + clamp(sigma * z[i], kMaxF32 - size);
    const int usable = size <= kMaxF32;
    const float kept = usable ? moved : w;
    memcpy(data + 4 * i, &kept, 4);
    changed += usable & (moved != w);
  }
  return size_t(changed);
}

/// Displacements x[0, n) of a tile of floats put on from[0, n), as bits of the format; those of 0 are `from` itself.
template <class Format>
inline size_t put_halves(uint16_t* halves, const uint16_t* from, const float* x, size_t n, ColumnDraws& draws) {
  int displaced = 0, changed = 0;
  for (size_t i = 0; i < n; i++) displaced |= x[i] != 0.0f;
  const uint32_t* words = displaced ? draws.roundings() : draws.rounding_store;
  for (size_t i = 0; i < n; i++) {
    const float p = Format::value(from[i]), size = std::fabs(p);
    const float y = p + clamp(x[i], Format::max - size);
    const uint16_t moved = uint16_t(Format::magnitude(std::fabs(y), false, words[i]) | ((float_bits(y) >> 16) & 0x8000));
    const bool moves = (size <= Format::max) & (x[i] != 0.0f);
    const uint16_t kept = moves ? moved : from[i];
    changed += kept != halves[i];
    halves[i] = kept;
  }
  return size_t(changed);
}

template <class Format>
inline size_t column_halves(uint8_t* data, size_t n, const Move& move, ColumnTile& t, ColumnDraws& draws) {
  memcpy(t.halves, data, 2 * n);
  int fine = 0, coarse = 0;
  for (size_t i = 0; i < n; i++) {
    const float w = Format::value(t.halves[i]);
    t.step[i] = Format::step(w);
    const float s = column_scale(t.sigma[i], move.in_steps, t.step[i]);
    const bool stays = !(std::fabs(w) <= Format::max);
    // Beyond kMaxS the rounding is too fine to matter, and s no longer tells sigma.
    t.x[i] = stays ? 0.0f : move.in_steps ? finite(t.sigma[i] * t.step[i]) : t.sigma[i];
    t.v[i] = stays ? 0.0f : s < kMaxS ? s * s : INFINITY;
    fine |= !(t.v[i] < INFINITY);
    coarse |= t.v[i] < INFINITY;
  }
  const float* z = fine ? draws.normals() : draws.normal_store;
  if (coarse) {
    for (size_t i = 0; i < n; i++) t.alpha[i] = t.v[i] < INFINITY ? t.v[i] : 0.0f;
    column_kicks(t.k, t.alpha, n, draws);
  }
  for (size_t i = 0; i < n; i++) {
    if (t.v[i] < INFINITY) t.x[i] = float(t.k[i]) * t.step[i];
    else t.x[i] *= z[i];
  }
  const size_t changed = put_halves<Format>(t.halves, t.halves, t.x, n, draws);
  if (changed > 0) memcpy(data, t.halves, 2 * n);
  return changed;
}

/// Calls work(byte, blocks, weights) for every tile, with the sigma of each of its weights in `tile`.
template <class Work>
inline size_t each_column_tile(size_t bytes, const Move& move, ColumnTile& tile, ColumnDraws& draws, Work work) {
  const size_t weights = move.format[kWeights], block_bytes = move.format[kBytes];
  const size_t blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  size_t changed = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block, n = count * weights;
    const uint64_t index = move.index + uint64_t(block) * weights;
    draws.begin(index, n);
    column_sigmas(tile.sigma, index, n, move);
    changed += work(block * block_bytes, count, n);
  }
  return changed;
}

inline size_t perturb_columns(uint8_t* data, size_t bytes, const Move& move) {
  if (move.sigma == 0.0f) return 0;
  ColumnTile tile;
  ColumnDraws draws(move.key, move.tick);
  return each_column_tile(bytes, move, tile, draws, [&](size_t at, size_t blocks, size_t n) {
    switch (move.format[kKind]) {
      case kLattice:
        return move.format[kLevels] == kUniform ? column_codes(data + at, blocks, n, move, tile, draws)
                                                : column_levels(data + at, blocks, n, move, tile, draws);
      case kF32: return column_f32(data + at, n, move, tile, draws);
      case kF16: return column_halves<F16>(data + at, n, move, tile, draws);
      default: return column_halves<BF16>(data + at, n, move, tile, draws);
    }
  });
}

/// k[0, n): what becomes of displacements x of whole steps, with noise of variances v = s^2 in the stationary state.
inline void column_pulls(ColumnTile& t, size_t n, const float* s, const float* decay, ColumnDraws& draws) {
  int displaced = 0;
  for (size_t i = 0; i < n; i++) displaced |= t.x[i] != 0.0f;
  const uint32_t* words = displaced ? draws.pulls() : draws.pull_store;
  alignas(64) int32_t pulled[kTile];
  for (size_t i = 0; i < n; i++) {
    const Kick kick(decay, 0, s[i]);
    const float size = std::fabs(t.x[i]), to = decay[0] * size;
    const int whole = int(to);
    const float part = to - float(whole);
    const int steps = whole + int((part > 0.0f) & (unit_uniform(words[i]) < part));
    pulled[i] = t.x[i] < 0.0f ? -steps : steps;
    const float variance = kick.variance(size, part * (1.0f - part));
    t.v[i] = s[i] > 0.0f ? variance : 0.0f;
  }
  column_kicks(t.k, t.v, n, draws);
  for (size_t i = 0; i < n; i++) t.k[i] += pulled[i];
}

inline size_t relax_column_codes(uint8_t* live, const uint8_t* pristine, size_t blocks, size_t n, const Move& move, const float* decay,
                                 ColumnTile& t, ColumnDraws& draws) {
  const int flip = Rails(move.format).flip;
  unpack(t.codes, live, blocks, move.format);
  unpack(t.pristine, pristine, blocks, move.format);
  column_steps(t.step, pristine, blocks, move.format);
  for (size_t i = 0; i < n; i++) {
    t.x[i] = float(int(t.codes[i] ^ flip) - int(t.pristine[i] ^ flip));
    t.alpha[i] = column_scale(t.sigma[i], move.in_steps, t.step[i]);
  }
  column_pulls(t, n, t.alpha, decay, draws);
  const size_t changed = put_displacements(t.codes, t.pristine, t.k, n, move.format);
  if (changed > 0) pack(t.codes, live, blocks, move.format);
  return changed;
}

inline size_t relax_column_levels(uint8_t* live, const uint8_t* pristine, size_t blocks, size_t n, const Move& move, const float* decay,
                                  ColumnTile& t, ColumnDraws& draws) {
  const Table table = table_of(move.format[kLevels]);
  unpack(t.codes, live, blocks, move.format);
  unpack(t.pristine, pristine, blocks, move.format);
  column_steps(t.step, pristine, blocks, move.format);
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    const int at = table.level(t.pristine[i]);
    uint8_t code = t.pristine[i];
    if (at > 0 && at < table.last) {
      const int was = table.level(t.codes[i]), origin = table.values[at];
      const Pulled pull = pulled_level(table, at, was, decay[0]);
      int level = pull.lower;
      if (pull.part > 0.0f && unit_uniform(draws.pulls()[i]) < pull.part) level++;
      const float s = column_level_scale(t.sigma[i], move.in_steps, t.step[i], table);
      if (s > 0.0f && level > 0 && level < table.last) {
        const float v = Kick(decay, at, s).variance(float(table.values[was] - origin), pull.added);
        const int below_at = origin - table.values[0], above_at = table.values[table.last] - origin;
        level = column_kick_level(table, level, origin, below_at < above_at ? below_at : above_at, v, draws, i);
      }
      if (level != at) code = uint8_t(table.code(level));
    }
    changed += code != t.codes[i];
    t.codes[i] = code;
  }
  if (changed > 0) pack(t.codes, live, blocks, move.format);
  return changed;
}

inline size_t relax_column_f32(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay, const ColumnTile& t,
                               ColumnDraws& draws) {
  const float* z = draws.normals();
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float p = read_f32(pristine, i), w = read_f32(live, i), size = std::fabs(p);
    const float scale = decay[2] * (move.in_steps ? finite(t.sigma[i] * ulp_f32(p)) : t.sigma[i]);
    const float moved = p + clamp(drift(decay[0], p, w, kMaxF32) + scale * z[i], kMaxF32 - size);
    const uint32_t to = size <= kMaxF32 ? float_bits(moved) : float_bits(p);
    changed += to != float_bits(w);
    memcpy(live + 4 * i, &to, 4);
  }
  return size_t(changed);
}

template <class Format>
inline size_t relax_column_halves(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay, ColumnTile& t,
                                  ColumnDraws& draws) {
  memcpy(t.halves, live, 2 * n);
  memcpy(t.pristine_halves, pristine, 2 * n);
  int fine = 0;
  for (size_t i = 0; i < n; i++) {
    const float p = Format::value(t.pristine_halves[i]), w = Format::value(t.halves[i]);
    t.step[i] = Format::step(p);
    const float s = column_scale(t.sigma[i], move.in_steps, t.step[i]);
    const bool stays = !(std::fabs(p) <= Format::max), coarse = (s < kMaxS) & !stays;
    t.alpha[i] = coarse ? s : 0.0f;
    t.beta[i] = stays | coarse ? 0.0f : decay[2] * (move.in_steps ? finite(t.sigma[i] * t.step[i]) : t.sigma[i]);
    const float steps = clamp((w - p) / t.step[i], kFarthest);
    t.x[i] = coarse & (std::fabs(w) <= Format::max) ? steps : 0.0f;
    fine |= !(coarse | stays);
  }
  column_pulls(t, n, t.alpha, decay, draws);
  for (size_t i = 0; i < n; i++) t.x[i] = float(t.k[i]) * t.step[i];
  if (fine) {
    const float* z = draws.normals();
    for (size_t i = 0; i < n; i++) {
      const float p = Format::value(t.pristine_halves[i]), w = Format::value(t.halves[i]);
      const bool coarse = column_scale(t.sigma[i], move.in_steps, t.step[i]) < kMaxS;
      if (!coarse && std::fabs(p) <= Format::max) t.x[i] = drift(decay[0], p, w, Format::max) + t.beta[i] * z[i];
    }
  }
  const size_t changed = put_halves<Format>(t.halves, t.pristine_halves, t.x, n, draws);
  if (changed > 0) memcpy(live, t.halves, 2 * n);
  return changed;
}

inline size_t relax_columns(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay) {
  ColumnTile tile;
  ColumnDraws draws(move.key, move.tick);
  return each_column_tile(bytes, move, tile, draws, [&](size_t at, size_t blocks, size_t n) {
    switch (move.format[kKind]) {
      case kLattice:
        return move.format[kLevels] == kUniform
                   ? relax_column_codes(live + at, pristine + at, blocks, n, move, decay, tile, draws)
                   : relax_column_levels(live + at, pristine + at, blocks, n, move, decay, tile, draws);
      case kF32: return relax_column_f32(live + at, pristine + at, n, move, decay, tile, draws);
      case kF16: return relax_column_halves<F16>(live + at, pristine + at, n, move, decay, tile, draws);
      default: return relax_column_halves<BF16>(live + at, pristine + at, n, move, decay, tile, draws);
    }
  });
}
