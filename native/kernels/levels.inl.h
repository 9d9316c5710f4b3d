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

/// The level that a weight of noise s moves to.
inline int moved_level(const Table& table, int level, float s, const Move& move, Draws& draws, size_t i) {
  const int x = table.values[level];
  const int up = table.values[level + 1] - x, down = x - table.values[level - 1];
  const float v = s * s;
  if (move.rounding == kMatched && v <= float(up * down)) return level + neighbour(v, up, down, draws, i);
  const float scale = move.rounding == kMatched ? std::sqrt(v - float(up * down) * (1.0f / 6.0f)) : s;
  const float u = move.rounding == kNearest ? 0.5f : centred_uniform(draws.rounding()[i]);
  return rounded_level(table, x, scale, draws.normals()[i], u);
}

/// What the law of small moves needs of each level: up (up + down), down (up + down), and up down, the largest variance that it serves.
struct LevelLaw {
  float up[32] = {}, down[32] = {}, most[32] = {};

  explicit LevelLaw(const Table& table) {
    for (int level = 0; level < 32; level++) {
      up[level] = down[level] = 1.0f;
      most[level] = -1.0f;
      if (level <= 0 || level >= table.last) continue;
      const int above = table.values[level + 1] - table.values[level], below = table.values[level] - table.values[level - 1];
      up[level] = float(above * (above + below));
      down[level] = float(below * (above + below));
      most[level] = float(above * below);
    }
  }
};

/// k[0, n): -1, 0 or 1 for weights of these levels and variances under the law of small moves; kAgain where 16 bits do not decide, or where
/// it does not serve. Whole vectors, as in `kicks`.
constexpr uint32_t kAgain = 2;
inline void small_moves(uint32_t* k, const uint32_t* levels, const float* v, const uint32_t* words, size_t n, const LevelLaw& law) {
  const F most = set1f(65536.0f);
  for (size_t i = 0; i < n; i += N) {
    const U level = load(levels + i), w = load(words + i), from_top = sub(set1(65535), w);
    const F variance = as_float(load(reinterpret_cast<const uint32_t*>(v + i)));
    const U up = to_int(min(mul(div(variance, lookup(law.up, level)), most), most));
    const U down = to_int(min(mul(div(variance, lookup(law.down, level)), most), most));
    const U rises = sar<31>(sub(w, up)), falls = sar<31>(sub(from_top, down));
    const U again = sar<31>(bor(bor(sub(bxor(w, up), set1(1)), sub(bxor(from_top, down), set1(1))),
                                as_uint(sub(lookup(law.most, level), variance))));
    // 1 where it rises, else -1 where it falls; both are masks.
    store(k + i, bor(band(sub(bor(rises, falls), shl<1>(rises)), bxor(again, set1(~0u))), band(again, set1(kAgain))));
  }
}

/// Formats whose codes stand for entries of a table.
inline size_t move_table_tile(uint8_t* data, size_t blocks, const Move& move, Draws& draws) {
  const int32_t* format = move.format;
  const Table table = table_of(format[kLevels]);
  const size_t group = format[kGroup], n = blocks * format[kWeights], groups = n / group;
  alignas(64) uint8_t codes[kTile];
  alignas(64) float v[kTile + N];
  alignas(64) uint32_t levels[kTile + N], k[kTile + N], words[kTile + N];
  float s[kTile / 16];
  uint8_t level_of_code[16] = {};
  for (int code = 0; code < 16; code++) level_of_code[code] = uint8_t(table.level(code));

  unpack(codes, data, blocks, format);
  read_steps(s, data, blocks, format);
  int moving = 0;
  for (size_t g = 0; g < groups; g++) {
    const float step = step_size(s[g]);
    const float given = move.in_steps ? move.sigma * table.mean_gap : move.sigma / step;
    const float bounded = given < kMaxS ? given : kMaxS;
    s[g] = step > 0.0f ? bounded : 0.0f;
  }
  for (size_t g = 0; g < groups; g++) moving |= s[g] > 0.0f;
  if (!moving) return 0;
  for (size_t i = 0; i < n; i++) levels[i] = level_of_code[codes[i]];
  if (move.rounding == kMatched) {
    const uint16_t* drawn = draws.moves();
    for (size_t i = 0; i < n; i++) words[i] = drawn[i];
    for (size_t g = 0; g < groups; g++) {
      for (size_t i = 0; i < group; i++) v[g * group + i] = s[g] * s[g];
    }
    small_moves(k, levels, v, words, n, LevelLaw(table));
  } else {
    for (size_t i = 0; i < n; i++) k[i] = kAgain;
  }
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    if (k[i] == 0) continue;
    const int level = int(levels[i]);
    if (level <= 0 || level >= table.last || s[i / group] == 0.0f) continue;
    const int moved = k[i] == kAgain ? moved_level(table, level, s[i / group], move, draws, i) : level + int(k[i]);
    if (moved == level) continue;
    codes[i] = uint8_t(table.code(moved));
    changed++;
  }
  if (changed > 0) pack(codes, data, blocks, format);
  return changed;
}
