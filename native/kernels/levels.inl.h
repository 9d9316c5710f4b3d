// Codes that stand for the entries of a table: the counterpart of src/laws/levels.ts, which holds the formulas.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "codes.inl.h"
#include "draws.inl.h"
#include "float_bits.inl.h"
#include "laws.inl.h"
#include "steps.inl.h"

namespace brownian::BROWNIAN_TARGET {

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

/// What the law of small moves needs of the sixteen codes of a table: thresholds are v times `rise` or `fall` in multiples of 2^-16, as long as
/// v <= most = up down. The factors are a little too small, by 2^-21 of them, so that a threshold's whole part is that of `neighbour`, which
/// divides, or one less.
struct CodeLaw {
  float rise[16] = {}, fall[16] = {}, most[16];
  alignas(16) uint8_t to_up[16] = {}, to_down[16] = {};  // a code's bits that change
  float least = INFINITY;                                // of `most`, where codes move at all

  explicit CodeLaw(const Table& table) {
    for (int code = 0; code < 16; code++) {
      const int level = table.level(code);
      most[code] = -1.0f;
      if (level <= 0 || level >= table.last) continue;
      const int up = table.values[level + 1] - table.values[level], down = table.values[level] - table.values[level - 1];
      rise[code] = kJustBelow / float(up * (up + down));
      fall[code] = kJustBelow / float(down * (up + down));
      most[code] = float(up * down);
      least = most[code] < least ? most[code] : least;
      to_up[code] = uint8_t(code ^ table.code(level + 1));
      to_down[code] = uint8_t(code ^ table.code(level - 1));
    }
  }

 private:
  static constexpr float kJustBelow = 65536.0f - 0.03125f;
};

/// The thresholds of a group, of each code: 16 bits, low and high bytes apart, put so that signed bytes compare as unsigned ones would. A
/// word below `rise` means up, one above `fall` down.
struct alignas(64) Thresholds {
  uint8_t rise_low[16], rise_high[16], fall_low[16], fall_high[16];

  /// Of codes that the law does not serve, no word means anything.
  void set(const CodeLaw& law, float v) {
    alignas(64) uint32_t words[16];
    const F variance = set1f(v);
    for (int code = 0; code < 16; code += N) {
      const U beyond = sar<31>(as_uint(sub(load_f(law.most + code), variance)));
      const F served = as_float(sub(as_uint(variance), band(as_uint(variance), beyond)));
      const U rise = to_int(mul(served, load_f(law.rise + code))), fall = to_int(mul(served, load_f(law.fall + code)));
      store(words + code, bxor(bor(rise, shl<16>(fall)), set1(0x7f7f8080u)));
    }
    store_byte_rows(rise_low, words);
  }
};

/// Moves the codes of a tile under the law of small moves: `to` from `codes`, groups of kGroup, 16 or 32, with thresholds each. Calls
/// decide(i) of the few weights that the thresholds' whole parts may not decide, and of some others. Returns how many codes changed without
/// those calls. Whole vectors.
template <int kGroup, class Decide>
inline size_t small_moves(uint8_t* to, const uint8_t* codes, const uint16_t* words, size_t n, const Thresholds* const* thresholds, const CodeLaw& law,
                          Decide decide) {
  const B flip = set1_b(0x80), one = set1_b(1);
  const auto near = [one](B apart) { return equal_b(min_b(apart, one), apart); };  // 0 or 1
  size_t changed = 0;
  for (size_t i = 0; i < n; i += B_LANES) {
    const Thresholds* const* const at = thresholds + i / kGroup;
    const B code = load_b(codes + i);
    B low, high;
    load_halves(words + i, low, high);
    const auto of = [&](auto bytes) { return lookup_lanes(load_lanes<kGroup>([&](size_t g) { return bytes(*at[g]); }), code); };
    low = xor_b(low, flip);
    high = xor_b(high, flip);
    const B rise_low = of([](const Thresholds& t) -> const uint8_t* { return t.rise_low; });
    const B rise_high = of([](const Thresholds& t) -> const uint8_t* { return t.rise_high; });
    const B fall_low = of([](const Thresholds& t) -> const uint8_t* { return t.fall_low; });
    const B fall_high = of([](const Thresholds& t) -> const uint8_t* { return t.fall_high; });
    const B rises = or_b(less_b(high, rise_high), and_b(equal_b(high, rise_high), less_b(low, rise_low)));
    const B falls = or_b(less_b(fall_high, high), and_b(equal_b(high, fall_high), less_b(fall_low, low)));
    const B open =
        or_b(and_b(near(sub_b(high, rise_high)), near(sub_b(low, rise_low))), and_b(near(sub_b(fall_high, high)), near(sub_b(fall_low, low))));
    const B change = or_b(and_b(lookup_b(law.to_up, code), rises), and_b(lookup_b(law.to_down, code), falls));
    store_b(to + i, xor_b(code, change));
    changed += count_nonzero_b(change);
    if (count_nonzero_b(open) == 0) continue;
    alignas(64) uint8_t lanes[B_LANES];
    store_b(lanes, open);
    for (size_t lane = 0; lane < B_LANES && i + lane < n; lane++) {
      if (lanes[lane] != 0) decide(i + lane);
    }
  }
  return changed;
}

/// w + s z, cut symmetrically at the ends of the table, and rounded to one of the two values around it.
class LargeMoves {
 public:
  explicit LargeMoves(const Table& table) : last_(table.last) {
    for (int i = 0; i < 17; i++) at_[i] = i <= last_ ? float(table.values[i]) : INFINITY;
    for (int i = 0; i <= last_; i++) {
      const int x = table.values[i], gap = i < last_ ? table.values[i + 1] - x : 1;
      level_[i] = bits_float(uint32_t(x) << 24 | uint32_t(gap) << 16 | uint32_t(table.code(i)));
    }
    for (int code = 0; code < 16; code++) {
      const int level = table.level(code);
      if (level <= 0 || level >= last_) continue;
      const int x = table.values[level], below_x = x - table.values[0], above_x = table.values[last_] - x;
      const int product = (table.values[level + 1] - x) * (x - table.values[level - 1]);
      code_[code] = bits_float(uint32_t(x) << 24 | uint32_t(below_x < above_x ? below_x : above_x) << 16 | uint32_t(level) << 12 | uint32_t(product));
    }
  }

  /// to[0, n) from codes[0, n), where the law of small moves does not serve (under other laws than `matched`, it never does), and the code is
  /// at no end; returns how many are others.
  size_t move(uint8_t* to, const uint8_t* codes, size_t n, float s, int rounding, const float* z, const uint32_t* words) const {
    alignas(64) uint32_t was[kMostTableGroup], counts[N];
    alignas(64) int8_t change[kMostTableGroup];
    // Of each code, the deviation of the noise added.
    alignas(64) float scale[16];
    const bool matched = rounding == kMatched, nearest = rounding == kNearest;
    const F v = set1f(s * s), zero = set1f(0.0f), half = set1f(0.5f);
    const U byte = set1(0xff);
    const auto less = [](F y, float value) { return sar<31>(as_uint(sub(y, set1f(value)))); };
    for (int code = 0; code < 16; code += N) {
      const F product = from_int(band(load(reinterpret_cast<const uint32_t*>(code_) + code), set1(0xfff)));
      store(reinterpret_cast<uint32_t*>(scale) + code, as_uint(matched ? root(max(sub(v, mul(product, set1f(1.0f / 6.0f))), zero)) : set1f(s)));
    }
    U count = set1(0);
    for (size_t i = 0; i < n; i++) was[i] = codes[i];
    for (size_t i = 0; i < n; i += N) {
      const U code = load(was + i), of_code = as_uint(lookup(code_, code));
      const F x = from_int(sar<24>(of_code)), reach = from_int(band(shr<16>(of_code), byte)), product = from_int(band(of_code, set1(0xfff)));
      const U level = band(shr<12>(of_code), set1(15));
      const F u = nearest ? half : mul(add(from_int(shr<9>(load(words + i))), half), set1f(1.1920928955078125e-7f));
      const F y = add(x, max(min(mul(lookup(scale, code), load_f(z + i)), reach), sub(zero, reach)));
      U lower = set1(16);
      for (int level = 1; level < 16; level += 2) lower = add(lower, add(less(y, at_[level]), less(y, at_[level + 1])));
      const U of_level = as_uint(lookup(level_, lower));
      const F part = div(sub(y, from_int(sar<24>(of_level))), from_int(band(shr<16>(of_level), byte)));
      const U up = sar<31>(as_uint(sub(u, part))), found = sub(lower, up);
      const U becomes = band(as_uint(lookup(level_, found)), byte);
      // Where there is a way to go, it ends at another level, and v is more than the product.
      const U moves = band(sar<31>(sub(set1(0), level)), sar<31>(sub(set1(0), bxor(found, level))));
      const U served = matched ? sar<31>(as_uint(sub(product, v))) : set1(~0u);
      const U change_of = band(bxor(code, becomes), band(moves, served));
      count = sub(count, sar<31>(sub(set1(0), change_of)));
      store_i8(change + i, change_of);
    }
    // Other codes may have moved by the other law.
    for (size_t i = 0; i < n; i++) to[i] = uint8_t(to[i] ^ change[i]);
    store(counts, count);
    size_t changed = 0;
    for (size_t lane = 0; lane < N; lane++) changed += counts[lane];
    return changed;
  }

 private:
  int last_;
  float at_[17];
  /// As bits: value, distance to the nearer end, level, up down (0 at both ends); value, distance to the next one, code.
  alignas(64) float code_[16] = {}, level_[16] = {};
};

/// What depends on the table alone.
struct TableLaw {
  Table table;
  CodeLaw small;
  LargeMoves large;
  Thresholds none;  // nothing moves

  explicit TableLaw(int levels) : table(table_of(levels)), small(table), large(table) { none.set(small, 0.0f); }

  static const TableLaw& of(int levels) {
    static const TableLaw iq4nl(kIq4nl), e2m1(kE2m1);
    return levels == kE2m1 ? e2m1 : iq4nl;
  }
};

/// Formats whose codes stand for entries of a table.
class TableMover {
 public:
  TableMover(const Move& move, Draws& draws)
      : move_(move), draws_(draws), law_(TableLaw::of(move.format[kLevels])), group_(size_t(move.format[kGroup])), scaled_(move) {
    if (move.in_steps) scaled_.sigma = move.sigma * law_.table.mean_gap;
  }

  size_t operator()(uint8_t* data, size_t blocks) {
    const int32_t* format = move_.format;
    const size_t n = blocks * size_t(format[kWeights]), groups = n / group_;
    if (!read_scales(data, blocks, groups)) return 0;
    unpack(codes_, data, blocks, format);
    size_t changed = 0;
    if (move_.rounding == kMatched) changed = small(data, n, groups);
    else memcpy(to_, codes_, n);
    size_t beyond = 0;
    for (size_t g = 0; g < groups; g++) beyond += is_large(s_[g]);
    for (size_t g = 0; beyond > 0 && g < groups; g++) {
      if (is_large(s_[g])) changed += large(g * group_, s_[g], 4 * beyond < groups);
    }
    if (changed > 0) pack(to_, data, blocks, format);
    return changed;
  }

 private:
  bool read_scales(const uint8_t* data, size_t blocks, size_t groups) {
    read_steps(s_, data, blocks, move_.format);
    scales_in_steps(scaled_, s_, groups);
    int moving = 0;
    for (size_t g = 0; g < groups; g++) moving |= s_[g] > 0.0f;
    return moving != 0;
  }

  /// The thresholds of the tile's groups, or of their parts of kMostPart weights. Steps of a byte are few, and those of one byte are made once.
  void set_thresholds(const uint8_t* data, size_t groups) {
    const int32_t* format = move_.format;
    if (format[kStep] == kStepE8m0 || format[kStep] == kStepUe4m3) {
      const size_t each = size_t(format[kWeights]) / group_, bytes = size_t(format[kBytes]);
      const uint8_t* steps = data + format[kStepOffset];
      for (size_t first = 0; first < groups; first += each, steps += bytes) {
        for (size_t g = first; g < first + each; g++) {
          Thresholds* const of = thresholds_ + steps[g - first];
          if (!has_[steps[g - first]]) of->set(law_.small, s_[g] * s_[g]);
          has_[steps[g - first]] = true;
          at_[g] = of;
        }
      }
    } else {
      for (size_t g = 0; g < groups; g++) thresholds_[g].set(law_.small, s_[g] * s_[g]);
      for (size_t g = 0; g < groups; g++) at_[g] = thresholds_ + g;
    }
    const size_t parts = group_ > kMostPart ? group_ / kMostPart : 1;
    for (size_t part = parts > 1 ? groups * parts : 0; part-- > 0;) at_[part] = at_[part / parts];
    // Beyond the last, whatever is there means nothing.
    for (size_t part = groups * parts; part < groups * parts + 4; part++) at_[part] = &law_.none;
  }
  static constexpr size_t kMostPart = 32;

  size_t small(const uint8_t* data, size_t n, size_t groups) {
    set_thresholds(data, groups);
    const uint16_t* const words = draws_.moves();
    size_t decided = 0;
    const auto decide = [&](size_t i) {
      const Table& table = law_.table;
      const int level = table.level(codes_[i]);
      const float s = s_[i / group_], v = s * s;
      if (v > law_.small.most[codes_[i]]) return;
      const int up = table.values[level + 1] - table.values[level], down = table.values[level] - table.values[level - 1];
      const int by = neighbour(v, up, down, draws_, i);
      const uint8_t moved = by == 0 ? codes_[i] : uint8_t(table.code(level + by));
      decided += size_t(moved != codes_[i]) - size_t(to_[i] != codes_[i]);
      to_[i] = moved;
    };
    const size_t changed = group_ == 16 ? small_moves<16>(to_, codes_, words, n, at_, law_.small, decide)
                                        : small_moves<32>(to_, codes_, words, n, at_, law_.small, decide);
    return changed + decided;
  }

  /// Whether noise s is too large for the law of small moves at some of the codes.
  bool is_large(float s) const { return move_.rounding == kMatched ? s * s > law_.small.least : s > 0.0f; }

  /// A group with such noise: the codes that the law of small moves does not serve. Draws for itself alone where its tile has few such groups.
  size_t large(size_t start, float s, bool alone) {
    alignas(64) float z[kMostTableGroup];
    alignas(64) uint32_t words[kMostTableGroup];
    const bool nearest = move_.rounding == kNearest;
    const uint64_t at = draws_.index + start;
    if (alone) {
      normal(z, group_, draws_.key, {at >> 2, 0, draws_.tick, kNormalPurpose});
      if (!nearest) bits(words, group_, draws_.key, {at >> 2, 0, draws_.tick, kRoundingPurpose});
      return law_.large.move(to_ + start, codes_ + start, group_, s, move_.rounding, z, words);
    }
    return law_.large.move(to_ + start, codes_ + start, group_, s, move_.rounding, draws_.normals() + start,
                           nearest ? nullptr : draws_.rounding() + start);
  }

  const Move& move_;
  Draws& draws_;
  const TableLaw& law_;
  const size_t group_;
  Move scaled_;  // a step being the mean distance of neighbouring values
  float s_[kTile / 16];
  bool has_[256] = {};
  const Thresholds* at_[kTile / 16 + 4];
  Thresholds thresholds_[256];
  // Room for what vectors read and write beyond the last.
  alignas(64) uint8_t codes_[kTile + 64], to_[kTile + 64];
};

}  // namespace brownian::BROWNIAN_TARGET
