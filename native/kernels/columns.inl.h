// Moves whose sigma goes by column: every weight has a variance of its own. The counterpart of src/laws/columns.ts, which holds the
// formulas. Step by step for all weights of a tile: each loop is vectors.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codes.inl.h"
#include "displacements.inl.h"
#include "draws.inl.h"
#include "floats.inl.h"
#include "laws.inl.h"
#include "levels.inl.h"
#include "runs.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Below this variance moves are single steps; above, it is what rounding adds.
constexpr float kDither = 0.25f;

/// Whether random bits w, with 32 more where they do not decide, are below a threshold of at most 2^32.
inline bool word_below(uint32_t w, float threshold, const Draws& draws, size_t i) {
  const uint64_t high = uint64_t(threshold);
  return w < high || (w == high && draws.refine(i) < uint32_t((threshold - float(high)) * 4294967296.0f));
}

/// Noise in steps of a run's weights that have a sigma each.
struct EachScale {
  const float* sigma;  // of the run's first weight
  float gap;           // 1, or what sigma is in units of, in steps
  bool in_steps;
  float step;

  float operator[](size_t i) const { return scale_in_steps(sigma[i] * gap, in_steps, step); }
};

/// Kicks of weights that have a sigma each: v < kDither in single steps, else round(s' z + u1 - u2).
class ColumnKicks {
 public:
  Draws& draws;

  ColumnKicks(const Move& move, Draws& draws) : draws(draws), move_(move) {}

  /// The tile whose draws have begun.
  void begin() {
    const uint64_t width = move_.columns_width, matrix = move_.columns_matrix, index = draws.index;
    const float* factors = move_.columns + index / matrix * width;
    uint64_t column = index % width, in_matrix = index % matrix;
    for (size_t i = 0; i < draws.count;) {
      const size_t length = width - column < draws.count - i ? size_t(width - column) : draws.count - i;
      for (size_t j = 0; j < length; j++) sigmas_[i + j] = finite(move_.sigma * factors[column + j]);
      i += length;
      in_matrix += length;
      column = 0;
      if (in_matrix == matrix) {
        in_matrix = 0;
        factors += width;
      }
    }
  }

  /// By weight of the tile.
  const float* sigmas() const { return sigmas_; }

  /// Of a run that begins at weight `start`, whose codes are `gap` steps apart on average.
  EachScale scales(size_t start, float step, float gap) const { return {sigmas_ + start, move_.in_steps ? gap : 1.0f, move_.in_steps, step}; }

  /// k[0, n): moves of variances v, mean 0.
  void draw(int32_t* k, const float* v, size_t n) {
    const uint32_t* words = draws.columns();
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
    const float* z = dithered ? draws.normals() : v;
    for (size_t i = 0; dithered && i < n; i++) {
      const float rest = v[i] - kDither, scale = std::sqrt(rest > 0.0f ? rest : 0.0f);
      const float dither = float(int(words[i] >> 16) - int(words[i] & 0xffff)) * 1.52587890625e-5f;
      const float y = scale * z[i] + dither;
      const int size = int(std::fabs(y) + 0.5f);
      const int moved = y < 0.0f ? -size : size;
      k[i] = v[i] < kDither ? k[i] : moved;
    }
  }

  void add(int32_t* k, const float* v, size_t n) {
    alignas(64) int32_t by[kTile];
    draw(by, v, n);
    for (size_t i = 0; i < n; i++) k[i] += by[i];
  }

  /// Up, down, or neither from a level whose neighbours lie so far away.
  int neighbour(float v, int up, int down, size_t i) {
    const uint32_t w = draws.columns()[i];
    if (word_below(w, v / float(up * (up + down)) * 4294967296.0f, draws, i)) return 1;
    return word_below(~w, v / float(down * (up + down)) * 4294967296.0f, draws, i) ? -1 : 0;
  }

 private:
  const Move& move_;
  alignas(64) float sigmas_[kTile];
};

inline size_t column_codes(uint8_t* data, size_t blocks, size_t n, const Move& move, ColumnKicks& kicks) {
  alignas(64) float step[kTile], v[kTile];
  alignas(64) int32_t k[kTile];
  alignas(64) uint8_t codes[kTile];
  const float* const sigmas = kicks.sigmas();
  const bool in_steps = move.in_steps;
  each_run(data, blocks, n, move, kicks.draws.index, [&](size_t start, size_t length, float of_run) {
    for (size_t i = start; i < start + length; i++) step[i] = of_run;
  });
  int moving = 0;
  for (size_t i = 0; i < n; i++) {
    const float s = scale_in_steps(sigmas[i], in_steps, step[i]);
    v[i] = s * s;
    moving |= s > 0.0f;
  }
  if (!moving) return 0;
  kicks.draw(k, v, n);
  unpack(codes, data, blocks, move.format);
  const size_t changed = put_displacements(codes, codes, k, n, move.format);
  if (changed > 0) pack(codes, data, blocks, move.format);
  return changed;
}

inline size_t column_levels(uint8_t* data, size_t blocks, size_t n, const Move& move, ColumnKicks& kicks) {
  alignas(64) uint8_t codes[kTile];
  const Table table = table_of(move.format[kLevels]);
  unpack(codes, data, blocks, move.format);
  size_t changed = 0;
  each_run(data, blocks, n, move, kicks.draws.index, [&](size_t start, size_t length, float step) {
    const EachScale scale = kicks.scales(start, step, table.mean_gap);
    for (size_t i = 0; i < length; i++) {
      const int level = table.level(codes[start + i]);
      const float s = scale[i];
      if (s == 0.0f || level == 0 || level == table.last) continue;
      const int to = kicked_level(table, level, table.values[level], s * s, kicks, start + i);
      if (to == level) continue;
      codes[start + i] = uint8_t(table.code(to));
      changed++;
    }
  });
  if (changed > 0) pack(codes, data, blocks, move.format);
  return changed;
}

inline size_t column_f32(uint8_t* data, size_t n, const Move& move, ColumnKicks& kicks) {
  const float *const z = kicks.draws.normals(), *const sigmas = kicks.sigmas();
  const bool in_steps = move.in_steps;
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float w = read_f32(data, i), size = std::fabs(w);
    const float sigma = in_steps ? finite(sigmas[i] * ulp_f32(w)) : sigmas[i];
    const float moved = w + clamp(sigma * z[i], kMaxF32 - size);
    const int usable = size <= kMaxF32;
    const float kept = usable ? moved : w;
    memcpy(data + 4 * i, &kept, 4);
    changed += usable & (moved != w);
  }
  return size_t(changed);
}

template <class Format>
inline size_t column_halves(uint8_t* data, size_t n, const Move& move, ColumnKicks& kicks) {
  uint16_t halves[kTile];
  alignas(64) float step[kTile], v[kTile], d[kTile];
  alignas(64) int32_t k[kTile];
  alignas(64) uint8_t fine[kTile];
  const float* const sigmas = kicks.sigmas();
  Format::load_all(halves, data, n);
  int any_fine = 0;
  for (size_t i = 0; i < n; i++) {
    const float w = Format::value(halves[i]);
    step[i] = Format::step(w);
    const float s = scale_in_steps(sigmas[i], move.in_steps, step[i]);
    const bool moves = std::fabs(w) <= Format::max;
    // Beyond kMaxS the rounding is too fine to matter, and s no longer tells sigma.
    fine[i] = moves & !(s < kMaxS);
    v[i] = moves & (s < kMaxS) ? s * s : 0.0f;
    any_fine |= fine[i];
  }
  kicks.draw(k, v, n);
  for (size_t i = 0; i < n; i++) d[i] = float(k[i]) * step[i];
  const float* z = any_fine ? kicks.draws.normals() : d;
  for (size_t i = 0; any_fine && i < n; i++) {
    const float sigma = move.in_steps ? finite(sigmas[i] * step[i]) : sigmas[i];
    d[i] = fine[i] ? sigma * z[i] : d[i];
  }
  const size_t changed = put_halves<Format>(halves, halves, d, n, kicks.draws);
  if (changed > 0) Format::store_all(data, halves, n);
  return changed;
}

inline size_t perturb_columns(uint8_t* data, size_t bytes, const Move& move) {
  Draws draws(move.key, move.tick);
  ColumnKicks kicks(move, draws);
  return each_tile(bytes, move, draws, [&](size_t at, size_t blocks, size_t n) {
    kicks.begin();
    switch (move.format[kKind]) {
      case kLattice:
        return move.format[kLevels] == kUniform ? column_codes(data + at, blocks, n, move, kicks) : column_levels(data + at, blocks, n, move, kicks);
      case kF32: return column_f32(data + at, n, move, kicks);
      default: return with_short_float(move.format[kKind], [&](auto format) { return column_halves<decltype(format)>(data + at, n, move, kicks); });
    }
  });
}

}  // namespace brownian::BROWNIAN_TARGET
