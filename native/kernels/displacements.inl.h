// Puts weights at a distance from where they began: codes no farther than the nearer rail, half floats rounded, codes of tables from level to
// level. What draws the distance is another's matter (relaxation.inl.h, columns.inl.h).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "float_bits.inl.h"
#include "format.h"
#include "laws.inl.h"
#include "levels.inl.h"
#include "put_moves.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Codes[0, n) put k away from those in `from`, |k| at most their distance to the nearer rail; returns how many of `codes` changed.
inline size_t put_displacements(uint8_t* codes, const uint8_t* from, const int32_t* k, size_t n, const int32_t* format) {
  const Rails rails(format);
  const int lo = rails.lo, hi = rails.hi, flip = rails.flip;
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const int p = from[i] ^ flip;
    const int nearer = p - lo < hi - p ? p - lo : hi - p;
    const int reach = nearer > 0 ? nearer : 0;
    const int by = k[i] < -reach ? -reach : k[i] > reach ? reach : k[i];
    const uint8_t code = uint8_t((p + by) ^ flip);
    changed += code != codes[i];
    codes[i] = code;
  }
  return size_t(changed);
}

/// Half floats[0, n) put d away from those in `from`, on the format's grid; those of 0 are `from` itself. Returns how many changed.
template <class Format>
inline size_t put_halves(uint16_t* halves, const uint16_t* from, const float* d, size_t n, Draws& draws) {
  static const uint32_t none[kTile] = {};
  int displaced = 0, changed = 0;
  for (size_t i = 0; i < n; i++) displaced |= d[i] != 0.0f;
  const uint32_t* words = displaced ? draws.rounding() : none;
  for (size_t i = 0; i < n; i++) {
    const float p = Format::value(from[i]), size = std::fabs(p);
    const float y = p + clamp(d[i], Format::max - size);
    const uint16_t moved = uint16_t(Format::magnitude(std::fabs(y), false, words[i]) | ((float_bits(y) >> 16) & 0x8000));
    const bool moves = (size <= Format::max) & (d[i] != 0.0f);
    const uint16_t kept = moves ? moved : from[i];
    changed += kept != halves[i];
    halves[i] = kept;
  }
  return size_t(changed);
}

/// The last level whose value is at most y.
inline int level_below(const Table& table, float y) {
  int level = 0;
  while (level < table.last && y >= float(table.values[level + 1])) level++;
  return level;
}

/// How far from `origin`, which is a level's value, both ends of a table are at least.
inline int reach_at(const Table& table, int origin) {
  const int below_at = origin - table.values[0], above_at = table.values[table.last] - origin;
  return below_at < above_at ? below_at : above_at;
}

/// The level that a kick of variance v leads weight i to from `level`, which is not at an end; no farther than the reach at `origin`.
template <class Kicks>
inline int kicked_level(const Table& table, int level, int origin, float v, Kicks& kicks, size_t i) {
  const int at = table.values[level], up = table.values[level + 1] - at, down = at - table.values[level - 1], reach = reach_at(table, origin);
  if (v <= float(up * down)) {
    const int to = level + kicks.neighbour(v, up, down, i);
    const int away = std::abs(table.values[to] - origin);
    return away > reach && away > std::abs(at - origin) ? level : to;
  }
  const float scale = std::sqrt(v - float(up * down) * (1.0f / 6.0f));
  const float kicked = float(at) + scale * kicks.draws.normals()[i], least = float(origin - reach), most = float(origin + reach);
  const float y = kicked < least ? least : kicked > most ? most : kicked;
  const int lower = level_below(table, y);
  if (lower == table.last) return lower;
  const float start = table.values[lower];
  return centred_uniform(kicks.draws.rounding()[i]) < (y - start) / (float(table.values[lower + 1]) - start) ? lower + 1 : lower;
}

}  // namespace brownian::BROWNIAN_TARGET
