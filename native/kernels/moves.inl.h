// The laws of moves on a lattice and of float weights: the counterpart of src/kernels/js/moves.ts and floats.ts, which hold the formulas.
// A tile's moves are drawn into an int16 a weight, run by run, and then put on the codes with the symmetric truncation at the rails.

constexpr size_t kTile = 2048;
constexpr float kMaxS = 32768.0f;
constexpr float kTableVariance = 4.0f;

/// The draws of one tile, each made when first asked for. Pointers are to weight 0 of the tile.
struct Draws {
  Key key;
  uint32_t tick;
  uint64_t index;
  size_t count;
  bool has_normals = false, has_moves = false, has_rounding = false;
  // Room for what vectors read beyond the last weight.
  alignas(64) float normal_store[kTile + 4 + N];
  alignas(64) uint32_t rounding_store[kTile + 4 + N];
  alignas(64) uint32_t move_store[(kTile + 8 + H_LANES) / 2];

  Draws(Key key, uint32_t tick) : key(key), tick(tick), index(0), count(0) {}

  void begin(uint64_t at, size_t n) {
    index = at;
    count = n;
    has_normals = has_moves = has_rounding = false;
  }
  const float* normals() {
    const uint32_t skip = index & 3;
    if (!has_normals) normal(normal_store, skip + count, key, {index >> 2, 0, tick, kNormalPurpose});
    has_normals = true;
    return normal_store + skip;
  }
  const uint32_t* rounding() {
    const uint32_t skip = index & 3;
    if (!has_rounding) bits(rounding_store, skip + count, key, {index >> 2, 0, tick, kRoundingPurpose});
    has_rounding = true;
    return rounding_store + skip;
  }
  const uint16_t* moves() {
    const uint32_t skip = index & 7;
    if (!has_moves) bits(move_store, (skip + count + 1) / 2, key, {index >> 3, 0, tick, kMovePurpose});
    has_moves = true;
    return reinterpret_cast<const uint16_t*>(move_store) + skip;
  }
  uint32_t refine(size_t i) const {
    uint32_t word;
    const uint64_t at = index + i;
    bits(&word, 1, key, {at >> 2, uint32_t(at & 3), tick, kRefinePurpose});
    return word;
  }
};

/// The `matched` law at one variance, 0 <= v <= kTableVariance: the mixture of two neighbouring rows of the table. Thresholds are made
/// as they are asked for.
struct Law {
  const float *a, *b;
  float weight;
  int columns;

  Law(const LawTable& table, float v) {
    const float position = v * 4.0f;
    int row = int(position);
    if (row > kLawRows - 2) row = kLawRows - 2;
    weight = position - float(row);
    a = table.tails + row * kLawColumns;
    b = a + kLawColumns;
    columns = table.columns[row + 1];
  }

  float threshold(int j) const { return a[j] + (b[j] - a[j]) * weight; }

  /// |k| for 15 bits m, with 32 more bits where those do not decide.
  int size(int m, const Draws& draws, size_t i) const {
    int k = 0;
    while (k < columns && m < int(threshold(k))) k++;
    if (k == columns || m != int(threshold(k))) return k;
    const uint32_t r = draws.refine(i);
    for (; k < columns; k++) {
      const float t = threshold(k);
      const int high = int(t);
      if (!(m < high || (m == high && r < uint32_t((t - float(high)) * 4294967296.0f)))) break;
    }
    return k;
  }
};

/// s: the noise of a weight in units of its step, kept below kMaxS; 0 where there is no step.
inline float scale_in_steps(const Move& move, float step) {
  const float s = move.in_steps ? move.sigma : move.sigma / step;
  const float bounded = s < kMaxS ? s : kMaxS;
  return step > 0.0f ? bounded : 0.0f;
}

/// The uniform of stochastic rounding: 23 bits, centred.
inline float centred_uniform(uint32_t word) { return (float(int32_t(word >> 9)) + 0.5f) * 1.1920928955078125e-7f; }

inline float matched_scale(float v) { return std::sqrt(v - (1.0f / 6.0f)); }

/// k[0, n) = floor(s |z| + u) with the sign of z; u from `words`, or 1/2 where they are null. Saturated to int16: rails are nearer.
/// Works on whole vectors: up to N - 1 moves beyond n are written, and as many draws read; the buffers have room for them.
inline void kicks(int16_t* k, size_t n, float s, const float* z, const uint32_t* words) {
  for (size_t i = 0; i < n; i += N) {
    const U zb = load(reinterpret_cast<const uint32_t*>(z + i));
    const F u = words == nullptr
                    ? set1f(0.5f)
                    : mul(add(from_int(shr<9>(load(words + i))), set1f(0.5f)), set1f(1.1920928955078125e-7f));
    const U size = to_int(add(mul(set1f(s), as_float(band(zb, set1(0x7fffffffu)))), u));
    const U sign = sar<31>(zb);
    store_i16(k + i, sub(bxor(size, sign), sign));
  }
}

/// k[0, n) of a run that begins at weight `from` of the tile, drawn from the table's law: 15 bits against thresholds, the 16th is the
/// sign. Whole vectors, as in `kicks`.
inline void table_moves(int16_t* k, size_t from, size_t n, const Law& law, Draws& draws) {
  const uint16_t* words = draws.moves() + from;
  // Thresholds fall. Those below 1 are all decided where m is 0, and there by the fractions.
  int16_t high[kLawColumns];
  int whole = 0;
  for (; whole < law.columns; whole++) {
    high[whole] = int16_t(law.threshold(whole));
    if (high[whole] == 0) break;
  }
  const H zero = set1_h(0);
  for (size_t i = 0; i < n; i += H_LANES) {
    const H w = load_h(words + i);
    const H m = and_h(w, set1_h(0x7fff));
    H size = zero, open = whole < law.columns ? or_equal(zero, m, zero) : zero;
    for (int j = 0; j < whole; j++) {
      const H t = set1_h(high[j]);
      size = count_less(size, m, t);
      open = or_equal(open, m, t);
    }
    const H sign = sar15_h(w);
    store_h(k + i, sub_h(xor_h(size, sign), sign));
    if (any_h(open)) {
      const size_t end = i + H_LANES < n ? i + H_LANES : n;
      for (size_t e = i; e < end; e++) {
        const int steps = law.size(words[e] & 0x7fff, draws, from + e);
        k[e] = int16_t(words[e] & 0x8000 ? -steps : steps);
      }
    }
  }
}

/// Draws the moves of a run [from, from + n) of the tile whose noise is s steps; s = 0 moves nothing.
inline void draw_run(int16_t* k, size_t from, size_t n, float s, const Move& move, const LawTable& table, Draws& draws) {
  const float v = s * s;
  if (s == 0.0f) {
    memset(k + from, 0, n * sizeof(*k));
  } else if (move.rounding == kMatched && v <= kTableVariance) {
    table_moves(k + from, from, n, Law(table, v), draws);
  } else if (move.rounding == kNearest) {
    kicks(k + from, n, s, draws.normals() + from, nullptr);
  } else {
    const float scale = move.rounding == kMatched ? matched_scale(v) : s;
    kicks(k + from, n, scale, draws.normals() + from, draws.rounding() + from);
  }
}

/// codes += k, |k| at most the distance to the nearer rail; returns how many changed.
inline size_t apply_moves(int8_t* codes, const int16_t* k, size_t n, int lo, int hi) {
  size_t changed = 0;
  size_t i = 0;
  for (; i + H_LANES <= n; i += H_LANES) {
    const H q = load_codes(codes + i);
    const H room = max_h(min_h(sub_h(q, set1_h(int16_t(lo))), sub_h(set1_h(int16_t(hi)), q)), set1_h(0));
    const H d = min_h(max_h(load_h(reinterpret_cast<const uint16_t*>(k + i)), sub_h(set1_h(0), room)), room);
    store_codes(codes + i, add_h(q, d));
    changed += count_nonzero(d);
  }
  for (; i < n; i++) {
    const int q = codes[i];
    int room = q - lo < hi - q ? q - lo : hi - q;
    if (room < 0) room = 0;
    const int d = k[i] < -room ? -room : k[i] > room ? room : k[i];
    codes[i] = int8_t(q + d);
    changed += d != 0;
  }
  return changed;
}

/// Splits weights [0, n), of which the first is weight `index` of the tensor, where rows (and so external steps) change.
template <class Use>
inline void each_row(const float* steps, uint64_t row_length, uint64_t index, size_t n, Use use) {
  for (size_t start = 0; start < n;) {
    const uint64_t row = (index + start) / row_length;
    const uint64_t left = (row + 1) * row_length - index - start;
    const size_t length = left < n - start ? size_t(left) : n - start;
    use(start, length, steps[row]);
    start += length;
  }
}

constexpr float kMaxF32 = 3.40282346638528859812e38f;

/// An overflowing sigma is cut, or infinity times a normal of 0 would be NaN.
inline float finite(float sigma) { return sigma < kMaxF32 ? sigma : kMaxF32; }

inline float clamp(float x, float limit) { return x < -limit ? -limit : x > limit ? limit : x; }

#include "levels.inl.h"
#include "sparse.inl.h"

/// Calls use(start, length, group) for every group of codes of `blocks` blocks.
template <class Use>
inline void each_group(const uint8_t* data, size_t blocks, const int32_t* format, Use use) {
  const size_t weights = format[kWeights], bytes = format[kBytes], length = format[kGroup];
  for (size_t block = 0; block < blocks; block++) {
    int g = 0;
    for (size_t start = 0; start < weights; start += length, g++) {
      use(block * weights + start, length, read_group(data + block * bytes, g, format));
    }
  }
}

/// The runs of a tile's weights that have one step: where each ends, and its noise in steps.
struct Runs {
  size_t count = 0;
  uint32_t ends[kTile];
  float s[kTile];
  /// Level of a sparse run; kDense, or kStill where nothing moves.
  int8_t levels[kTile];
  uint32_t shares[kTile];

  static constexpr int8_t kDense = -1, kStill = -2;

  size_t at(size_t i) const {
    size_t low = 0;
    for (size_t high = count - 1; low < high;) {
      const size_t middle = (low + high) / 2;
      if (ends[middle] > i) high = middle;
      else low = middle + 1;
    }
    return low;
  }
};

/// Moves the dense runs of a tile.
inline size_t move_dense(uint8_t* data, size_t blocks, size_t n, const Move& move, const LawTable& table, const Runs& runs, Draws& draws) {
  alignas(64) int8_t codes[kTile];
  alignas(64) int16_t k[kTile + H_LANES];
  for (size_t run = 0, start = 0; run < runs.count; run++) {
    const size_t end = runs.ends[run];
    draw_run(k, start, end - start, runs.levels[run] == Runs::kDense ? runs.s[run] : 0.0f, move, table, draws);
    start = end;
  }
  unpack(codes, data, blocks, move.format);
  const size_t changed = apply_moves(codes, k, n, move.format[kLo], move.format[kHi]);
  if (changed > 0) pack(codes, data, blocks, move.format);
  return changed;
}

inline void take_hit(uint8_t* data, size_t i, int sign, const CodeAt& code, int lo, int hi, Moved& moved) {
  const int q = code.read(data, i);
  if (q <= lo || q >= hi) return;
  code.write(data, i, q + sign);
  moved.note(i, q, q + sign);
}

/// Rows of bare codes, all of them sparse or still: visited hit by hit, without looking at anything else. False where some row is not.
inline bool move_sparse_rows(uint8_t* data, size_t n, const Move& move, Hits& hits, size_t& changed) {
  bool sparse = true;
  const auto variance = [&](float step) {
    const float s = scale_in_steps(move, step);
    return s * s;
  };
  each_row(move.steps, move.row_length, move.index, n, [&](size_t, size_t, float step) { sparse &= variance(step) < kSparseVariance; });
  if (!sparse) return false;
  const CodeAt code(move.format);
  const int lo = move.format[kLo], hi = move.format[kHi];
  Moved moved;
  each_row(move.steps, move.row_length, move.index, n, [&](size_t start, size_t length, float step) {
    const float v = variance(step);
    if (v == 0.0f) return;
    const int level = level_of(v);
    const uint32_t share = share_of(v, level);
    const uint64_t from = move.index + start;
    hits.each(level, from, from + length, [&](uint64_t weight, const Hit& hit) {
      if (hit.take < share) take_hit(data, size_t(weight - move.index), hit.sign, code, lo, hi, moved);
    });
  });
  changed = moved.changed;
  return true;
}

/// Moves the runs of a tile that are of this level.
inline size_t move_sparse(uint8_t* data, size_t n, const Move& move, const CodeAt& code, const Runs& runs, int level, uint64_t index,
                          Hits& hits) {
  const int32_t* format = move.format;
  const int lo = format[kLo], hi = format[kHi];
  const int even = format[kStep] == kExternal ? 0 : CodeAt::log2(format[kGroup]);
  Moved moved;
  hits.each(level, index, index + n, [&](uint64_t weight, const Hit& hit) {
    const size_t i = size_t(weight - index);
    const size_t run = even > 0 ? i >> even : runs.at(i);
    if (runs.levels[run] == level && hit.take < runs.shares[run]) take_hit(data, i, hit.sign, code, lo, hi, moved);
  });
  return moved.changed;
}

inline size_t move_lattice_tile(uint8_t* data, size_t blocks, size_t n, const Move& move, const LawTable& table, const CodeAt& code, Draws& draws,
                                Hits& hits) {
  const int32_t* format = move.format;
  Runs runs;
  if (format[kStep] == kExternal) {
    each_row(move.steps, move.row_length, draws.index, n, [&](size_t start, size_t length, float step) {
      runs.ends[runs.count] = uint32_t(start + length);
      runs.s[runs.count++] = scale_in_steps(move, step);
    });
  } else {
    // First the steps of all groups, then what follows from them: short loops without dependences between groups.
    if (format[kStep] == kStepF16) {  // the commonest, one group a block: no need to ask for each
      const uint8_t* at = data + format[kStepOffset];
      for (size_t block = 0; block < blocks; block++, at += format[kBytes]) runs.s[block] = read_half(at);
      runs.count = blocks;
    } else {
      each_group(data, blocks, format, [&](size_t, size_t, const Group& group) { runs.s[runs.count++] = group.step; });
    }
    for (size_t run = 0; run < runs.count; run++) runs.ends[run] = uint32_t((run + 1) * format[kGroup]);
    for (size_t run = 0; run < runs.count; run++) runs.s[run] = scale_in_steps(move, step_size(runs.s[run]));
  }
  uint64_t levels = 0;  // a set, bit by bit
  bool dense = false;
  for (size_t run = 0; run < runs.count; run++) {
    const float s = runs.s[run], v = s * s;
    int level = s > 0.0f ? Runs::kDense : Runs::kStill;
    if (move.rounding == kMatched && v < kSparseVariance) {
      level = Runs::kStill;
      if (v > 0.0f) {
        level = level_of(v);
        runs.shares[run] = share_of(v, level);
        levels |= uint64_t(1) << level;
      }
    }
    dense |= level == Runs::kDense;
    runs.levels[run] = int8_t(level);
  }
  size_t changed = dense ? move_dense(data, blocks, n, move, table, runs, draws) : 0;
  for (int level = 0; levels >> level != 0; level++) {
    if (levels >> level & 1) changed += move_sparse(data, n, move, code, runs, level, draws.index, hits);
  }
  return changed;
}

/// Formats whose codes stand for entries of a table.
inline size_t move_table_tile(uint8_t* data, size_t blocks, const Move& move, Draws& draws) {
  alignas(64) int8_t codes[kTile];
  size_t changed = 0;
  unpack(codes, data, blocks, move.format);
  each_group(data, blocks, move.format, [&](size_t start, size_t length, const Group& group) {
    changed += move_levels(codes, start, length, step_size(group.step), move.format[kLevels], move, draws);
  });
  if (changed > 0) pack(codes, data, blocks, move.format);
  return changed;
}

/// The distance from |w| to the next larger value with this many bits of mantissa; below 2^lowest the grid is uniform.
inline float ulp(float w, int mantissa, int lowest) {
  int exponent = (float_bits(w) >> 23) & 0xff;
  if (exponent < lowest + 127) exponent = lowest + 127;
  return exponent > mantissa ? bits_float(uint32_t(exponent - mantissa) << 23) : bits_float(1u << (exponent + 22 - mantissa));
}
inline float ulp_f32(float w) { return ulp(w, 23, -126); }

inline size_t move_f32_tile(uint8_t* data, size_t n, const Move& move, Draws& draws) {
  const float* z = draws.normals();
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    float w;
    memcpy(&w, data + 4 * i, 4);
    const float size = std::fabs(w);
    if (!(size <= kMaxF32)) continue;
    const float sigma = move.in_steps ? finite(move.sigma * ulp_f32(w)) : move.sigma;
    const float moved = w + clamp(sigma * z[i], kMaxF32 - size);
    if (moved != w) {
      memcpy(data + 4 * i, &moved, 4);
      changed++;
    }
  }
  return changed;
}

/// |y| on the F16 or BF16 grid, as the format's bits: up or down as `word` decides, or to the nearest (ties to even).
inline uint32_t magnitude_bits(float y, bool half, bool nearest, uint32_t word) {
  const float a = std::fabs(y);
  const uint32_t bits = float_bits(a);
  if (half && a < 6.103515625e-5f) {
    const float n = a * 16777216.0f;
    return uint32_t(nearest ? (n + 8388608.0f) - 8388608.0f : n + centred_uniform(word));
  }
  const int dropped = half ? 13 : 16;
  const uint32_t mask = (1u << dropped) - 1;
  const uint32_t bump = nearest ? (mask >> 1) + ((bits >> dropped) & 1) : word & mask;
  const uint32_t kept = (bits + bump) >> dropped;
  return half ? kept - (112u << 10) : kept;
}

inline size_t move_half_tile(uint8_t* data, size_t n, const Move& move, const LawTable& table, Draws& draws) {
  const bool half = move.format[kKind] == kF16;
  const bool nearest = move.rounding == kNearest;
  const float max = half ? 65504.0f : 3.38953138925153547591e38f;
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, data + 2 * i, 2);
    const float w = half ? half_to_float(h) : bits_float(uint32_t(h) << 16);
    const float size = std::fabs(w);
    if (!(size <= max)) continue;
    const float step = half ? ulp(w, 10, -14) : ulp(w, 7, -126);
    const float sigma = move.in_steps ? finite(move.sigma * step) : move.sigma;
    float d;
    if (move.rounding == kMatched) {
      const float s = scale_in_steps(move, step);
      const float v = s * s;
      if (v > kTableVariance) {
        // Beyond kMaxS the rounding is too fine to matter, and s no longer tells sigma.
        d = (s < kMaxS ? matched_scale(v) * step : sigma) * draws.normals()[i];
      } else {
        const uint16_t m = draws.moves()[i];
        const int k = Law(table, v).size(m & 0x7fff, draws, i);
        if (k == 0) continue;
        d = float(m & 0x8000 ? -k : k) * step;
      }
    } else {
      d = sigma * draws.normals()[i];
    }
    const float y = w + clamp(d, max - size);
    const uint32_t bits = magnitude_bits(y, half, nearest, nearest ? 0 : draws.rounding()[i]);
    const uint16_t moved = uint16_t(bits | ((float_bits(y) >> 16) & 0x8000));
    if (moved != h) {
      memcpy(data + 2 * i, &moved, 2);
      changed++;
    }
  }
  return changed;
}

inline size_t perturb(uint8_t* data, size_t bytes, const Move& move, const LawTable& table) {
  if (move.sigma == 0.0f) return 0;
  const int32_t* format = move.format;
  const size_t weights = format[kWeights], block_bytes = format[kBytes];
  const size_t blocks = bytes / block_bytes, tile_blocks = kTile / weights;
  Draws draws(move.key, move.tick);
  Hits hits(table, move.key, move.tick);
  const CodeAt code(format);
  if (format[kKind] == kLattice && format[kStep] == kExternal && move.rounding == kMatched) {
    size_t moved;
    if (move_sparse_rows(data, blocks * weights, move, hits, moved)) return moved;
  }
  size_t changed = 0;
  for (size_t block = 0; block < blocks; block += tile_blocks) {
    const size_t count = tile_blocks < blocks - block ? tile_blocks : blocks - block;
    const size_t n = count * weights;
    uint8_t* at = data + block * block_bytes;
    draws.begin(move.index + uint64_t(block) * weights, n);
    switch (format[kKind]) {
      case kLattice:
        changed += format[kLevels] == kUniform ? move_lattice_tile(at, count, n, move, table, code, draws, hits) : move_table_tile(at, count, move, draws);
        break;
      case kF32: changed += move_f32_tile(at, n, move, draws); break;
      default: changed += move_half_tile(at, n, move, table, draws); break;
    }
  }
  return changed;
}
