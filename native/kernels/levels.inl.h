// Codes that stand for the entries of a table: the counterpart of src/kernels/js/levels.ts, which holds the formulas.

struct Table {
  const int16_t* values;  // ascending, in units of the step
  int last;
  float mean_gap;
  bool signed_zero;  // E2M1: a sign bit, and a second zero

  int level(int code) const { return !signed_zero ? code : code < 8 ? 7 + code : 15 - code; }
  int code(int level) const { return !signed_zero ? level : level >= 7 ? level - 7 : 15 - level; }
};

inline Table table_of(int levels) {
  static const int16_t iq4nl[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  static const int16_t e2m1[] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
  if (levels == kE2m1) return {e2m1, 14, float(12.0 / 7.0), true};
  return {iq4nl, 15, 16.0f, false};
}

/// Whether 16 bits, with 32 more where they do not decide, are below a threshold.
inline bool below(int w, float threshold, const Draws& draws, size_t i) {
  const int high = int(threshold);
  return w < high || (w == high && draws.refine(i) < uint32_t((threshold - float(high)) * 4294967296.0f));
}

inline int neighbour(float v, int up, int down, Draws& draws, size_t i) {
  const int w = draws.moves()[i];
  if (below(w, v / float(up * (up + down)) * 65536.0f, draws, i)) return 1;
  return below(65535 - w, v / float(down * (up + down)) * 65536.0f, draws, i) ? -1 : 0;
}

/// The level that x + s z is rounded to, |s z| at most the distance to the nearer end of the table.
inline int rounded_level(const Table& table, int x, float s, float z, float u) {
  const int below_x = x - table.values[0], above_x = table.values[table.last] - x;
  const float y = float(x) + clamp(s * z, float(below_x < above_x ? below_x : above_x));
  int level = 0;
  while (level < table.last && y >= float(table.values[level + 1])) level++;
  if (level == table.last) return level;
  const int at = table.values[level];
  return u < (y - float(at)) / float(table.values[level + 1] - at) ? level + 1 : level;
}

/// Moves codes[from, from + n) of a tile; returns how many changed.
inline size_t move_levels(uint8_t* codes, size_t from, size_t n, float step, int levels, const Move& move, Draws& draws) {
  if (!(step > 0.0f)) return 0;
  const Table table = table_of(levels);
  float s = move.in_steps ? move.sigma * table.mean_gap : move.sigma / step;
  if (!(s < kMaxS)) s = kMaxS;
  const float v = s * s;
  size_t changed = 0;
  for (size_t i = from; i < from + n; i++) {
    const int level = table.level(codes[i]);
    if (level <= 0 || level >= table.last) continue;
    const int x = table.values[level];
    const int up = table.values[level + 1] - x, down = x - table.values[level - 1];
    int moved;
    if (move.rounding == kMatched && v <= float(up * down)) {
      moved = level + neighbour(v, up, down, draws, i);
    } else {
      const float scale = move.rounding == kMatched ? std::sqrt(v - float(up * down) * (1.0f / 6.0f)) : s;
      const float u = move.rounding == kNearest ? 0.5f : centred_uniform(draws.rounding()[i]);
      moved = rounded_level(table, x, scale, draws.normals()[i], u);
    }
    if (moved != level) {
      codes[i] = uint8_t(table.code(moved));
      changed++;
    }
  }
  return changed;
}

/// Formats whose codes stand for entries of a table.
inline size_t move_table_tile(uint8_t* data, size_t blocks, const Move& move, Draws& draws) {
  alignas(64) uint8_t codes[kTile];
  size_t changed = 0;
  unpack(codes, data, blocks, move.format);
  each_group(data, blocks, move.format, [&](size_t start, size_t length, const Group& group) {
    changed += move_levels(codes, start, length, step_size(group.step), move.format[kLevels], move, draws);
  });
  if (changed > 0) pack(codes, data, blocks, move.format);
  return changed;
}
