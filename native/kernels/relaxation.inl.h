// The evolution `relax`, one step of the dynamics `langevin`: every weight is pulled back to where it began, and kicked. The counterpart of
// src/laws/relaxation.ts, which holds the formulas. Step by step for all weights of a tile: each loop is vectors.
//
// Kicks come from one of two laws with the same few verbs: `RunKicks`, where all weights of a run have one sigma, or `ColumnKicks`
// (columns.inl.h), where each has its own.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codes.inl.h"
#include "columns.inl.h"
#include "displacements.inl.h"
#include "draws.inl.h"
#include "float_bits.inl.h"
#include "floats.inl.h"
#include "laws.inl.h"
#include "levels.inl.h"
#include "relax_even.inl.h"
#include "relax_kicks.inl.h"
#include "runs.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Displacements of half floats are cut here, in steps.
constexpr float kFarthest = 4194304.0f;

/// Codes whose values are whole multiples of a step.
template <class Kicks>
inline size_t relax_codes(uint8_t* live, const uint8_t* pristine, size_t blocks, size_t n, const Move& move, const float* decay, Kicks& kicks) {
  alignas(64) uint8_t to[kTile], from[kTile];
  Pulls pulls;
  const int flip = Rails(move.format).flip;
  unpack(to, live, blocks, move.format);
  unpack(from, pristine, blocks, move.format);
  for (size_t i = 0; i < n; i++) pulls.x[i] = float(int(to[i] ^ flip) - int(from[i] ^ flip));
  each_run(pristine, blocks, n, move, kicks.draws.index,
           [&](size_t start, size_t length, float step) { pulls.set(start, length, decay, kicks.scales(start, step, 1.0f)); });
  pulls(n, decay[0], kicks);
  const size_t changed = put_displacements(to, from, pulls.next, n, move.format);
  if (changed > 0) pack(to, live, blocks, move.format);
  return changed;
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

/// The pulls between all levels of a table by one factor, each found when first asked for.
class LevelPulls {
 public:
  LevelPulls(const Table& table, float a) : table(table), a_(a) {
    for (auto& row : found_) {
      for (Pulled& pull : row) pull.lower = -1;
    }
  }

  const Pulled& operator()(int from, int level) {
    Pulled& pull = found_[from][level];
    if (pull.lower < 0) pull = pulled_level(table, from, level, a_);
    return pull;
  }

  const Table table;

 private:
  const float a_;
  Pulled found_[16][16];
};

/// Codes that stand for the entries of a table.
template <class Kicks>
inline size_t relax_levels(uint8_t* live, const uint8_t* pristine, size_t blocks, size_t n, const Move& move, const float* decay, LevelPulls& pulls,
                           Kicks& kicks) {
  alignas(64) uint8_t to[kTile], from[kTile];
  const Table& table = pulls.table;
  unpack(to, live, blocks, move.format);
  unpack(from, pristine, blocks, move.format);
  size_t changed = 0;
  each_run(pristine, blocks, n, move, kicks.draws.index, [&](size_t start, size_t length, float step) {
    const auto scale = kicks.scales(start, step, table.mean_gap);
    for (size_t j = 0; j < length; j++) {
      const size_t i = start + j;
      const int at = table.level(from[i]);
      uint8_t code = from[i];
      if (at > 0 && at < table.last) {
        const int was = table.level(to[i]), origin = table.values[at];
        const Pulled& pull = pulls(at, was);
        int level = pull.lower;
        if (pull.part > 0.0f && unit_uniform(kicks.draws.pulls()[i]) < pull.part) level++;
        const float s = scale[j];
        if (s > 0.0f && level > 0 && level < table.last) {
          const float v = Kick(decay, at, s).variance(float(table.values[was] - origin), pull.added);
          level = kicked_level(table, level, origin, v, kicks, i);
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

template <class Kicks>
inline size_t relax_f32(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay, Kicks& kicks) {
  const float* z = kicks.draws.normals();
  const auto sigmas = kicks.sigmas();
  const float a = decay[0], b = decay[2];
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float p = read_f32(pristine, i), w = read_f32(live, i), size = std::fabs(p);
    const float scale = b * (move.in_steps ? finite(sigmas[i] * ulp_f32(p)) : sigmas[i]);
    const float moved = p + clamp(drift(a, p, w, kMaxF32) + scale * z[i], kMaxF32 - size);
    const uint32_t to = size <= kMaxF32 ? float_bits(moved) : float_bits(p);
    changed += to != float_bits(w);
    memcpy(live + 4 * i, &to, 4);
  }
  return size_t(changed);
}

/// Within the binade of the pristine weight a lattice; where noise is far above its step, as F32, rounded.
template <class Format, class Kicks>
inline size_t relax_halves(uint8_t* live, const uint8_t* pristine, size_t n, const Move& move, const float* decay, Kicks& kicks) {
  uint16_t to[kTile], from[kTile];
  alignas(64) float p[kTile], w[kTile], step[kTile], s[kTile], d[kTile];
  Pulls pulls;
  const auto sigmas = kicks.sigmas();
  const float a = decay[0], b = decay[2];
  Format::load_all(to, live, n);
  Format::load_all(from, pristine, n);
  int fine = 0;
  for (size_t i = 0; i < n; i++) {
    p[i] = Format::value(from[i]);
    w[i] = Format::value(to[i]);
    step[i] = Format::step(p[i]);
    s[i] = scale_in_steps(sigmas[i], move.in_steps, step[i]);
  }
  for (size_t i = 0; i < n; i++) {
    const bool coarse = s[i] < kMaxS, usable = (std::fabs(w[i]) <= Format::max) & (std::fabs(p[i]) <= Format::max);
    const float steps = clamp((w[i] - p[i]) / step[i], kFarthest);
    pulls.x[i] = coarse & usable ? steps : 0.0f;
    pulls.set(i, Kick(decay, 0, coarse ? s[i] : 0.0f));
    fine |= !coarse;
  }
  pulls(n, a, kicks);
  for (size_t i = 0; i < n; i++) d[i] = float(pulls.next[i]) * step[i];
  if (fine) {
    const float* z = kicks.draws.normals();
    for (size_t i = 0; i < n; i++) {
      const float scale = b * (move.in_steps ? finite(sigmas[i] * step[i]) : sigmas[i]);
      const float moved = drift(a, p[i], w[i], Format::max) + scale * z[i];
      d[i] = s[i] < kMaxS ? d[i] : moved;
    }
  }
  const size_t changed = put_halves<Format>(to, from, d, n, kicks.draws);
  if (changed > 0) Format::store_all(live, to, n);
  return changed;
}

template <class Kicks>
inline size_t relax_by(Kicks kicks, uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay) {
  const auto by_tiles = [&](auto relax_tile) {
    return each_tile(bytes, move, kicks.draws, [&](size_t at, size_t blocks, size_t n) {
      kicks.begin();
      return relax_tile(live + at, pristine + at, blocks, n);
    });
  };
  using Live = uint8_t*;
  using Pristine = const uint8_t*;
  switch (move.format[kKind]) {
    case kLattice: {
      if (move.format[kLevels] == kUniform) {
        return by_tiles([&](Live to, Pristine from, size_t blocks, size_t n) { return relax_codes(to, from, blocks, n, move, decay, kicks); });
      }
      LevelPulls pulls(table_of(move.format[kLevels]), decay[0]);
      return by_tiles([&](Live to, Pristine from, size_t blocks, size_t n) { return relax_levels(to, from, blocks, n, move, decay, pulls, kicks); });
    }
    case kF32: return by_tiles([&](Live to, Pristine from, size_t, size_t n) { return relax_f32(to, from, n, move, decay, kicks); });
    default:
      return with_short_float(move.format[kKind], [&](auto format) {
        return by_tiles([&](Live to, Pristine from, size_t, size_t n) { return relax_halves<decltype(format)>(to, from, n, move, decay, kicks); });
      });
  }
}

/// live := one step on from pristine, by a factor, 1 - a^2, its root, and betas (src/laws/decay.ts).
inline size_t relax(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay, const LawTable& table) {
  Draws draws(move.key, move.tick);
  if (move.columns != nullptr) return relax_by(ColumnKicks(move, draws), live, pristine, bytes, move, decay);
  if (move.format[kKind] == kLattice && move.format[kLevels] == kUniform) return relax_even(live, pristine, bytes, move, decay, table, draws);
  return relax_by(RunKicks(move, table, draws), live, pristine, bytes, move, decay);
}

/// Whether those are so many numbers, each from 0 to 1, for codes of this format: of tables one row a level, but for the last of 16, which has no use for its own.
inline bool relax_takes(const float* decay, size_t count, const int32_t* format) {
  const size_t rows = format[kKind] == kLattice && format[kLevels] != kUniform ? 15 : 1;
  if (count < size_t(kDecayHead) + rows * size_t(kDecayColumns)) return false;
  int wrong = 0;
  for (size_t i = 0; i < count; i++) wrong |= !((decay[i] >= 0.0f) & (decay[i] <= 1.0f));
  return !wrong;
}

}  // namespace brownian::BROWNIAN_TARGET
