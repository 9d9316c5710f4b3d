// The kicks of `relax` where every weight has a variance of its own, and the pull of a tile by it. Formulas: src/laws/relaxation.ts.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "columns.inl.h"
#include "draws.inl.h"
#include "float_bits.inl.h"
#include "laws.inl.h"
#include "levels.inl.h"

namespace brownian::BROWNIAN_TARGET {

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

/// One number for all weights.
struct Same {
  float value;
  float operator[](size_t) const { return value; }
};

/// Kicks of weights that have one sigma, by the law `matched`.
class RunKicks {
 public:
  Draws& draws;

  RunKicks(const Move& move, const LawTable& table, Draws& draws) : draws(draws), move_(move), table_(table) {}

  void begin() {}
  Same sigmas() const { return {move_.sigma}; }
  Same scales(size_t, float step, float gap) const {
    return {scale_in_steps(move_.in_steps ? move_.sigma * gap : move_.sigma, move_.in_steps, step)};
  }
  int neighbour(float v, int up, int down, size_t i) { return brownian::BROWNIAN_TARGET::neighbour(v, up, down, draws, i); }

  /// k[0, n) += moves of variances v, which become others; there is room for a vector beyond the last.
  void add(int32_t* k, float* v, size_t n) {
    alignas(64) int32_t bits[kTile];
    int in_table = 0, large = 0, beyond = 0;
    for (size_t i = 0; i < n; i++) large |= v[i] > kTableVariance;
    for (size_t i = 0; large && i < n; i++) {
      const float served = v[i] <= kCoarseVariance ? v[i] : 0.0f;
      const Grid grid(served);
      bits[i] = grid.bits;
      v[i] = served > 0.0f ? grid.variance : v[i];
    }
    for (size_t i = 0; i < n; i++) in_table |= (v[i] > 0.0f) & (v[i] <= kTableVariance);
    for (size_t i = 0; large && i < n; i++) beyond |= v[i] > kTableVariance;
    if (in_table) add_table(k, v, n, large ? bits : nullptr);
    if (beyond) add_large(k, v, n);
  }

 private:
  void add_table(int32_t* to, const float* v, size_t n, const int32_t* bits) {
    alignas(64) int32_t k[kTile + N];
    table_each(k, n, table_, v, draws);
    const uint8_t* const fine = bits != nullptr ? draws.fine() : nullptr;
    for (size_t i = 0; fine != nullptr && i < n; i++) {
      const int mask = (1 << bits[i]) - 1;
      k[i] = k[i] * (1 << bits[i]) + (fine[i] & mask) - (fine[i] >> 4 & mask);
    }
    for (size_t i = 0; i < n; i++) to[i] += v[i] <= kTableVariance ? k[i] : 0;
  }

  void add_large(int32_t* to, const float* v, size_t n) {
    const float* z = draws.normals();
    const uint32_t* words = draws.rounding();
    for (size_t i = 0; i < n; i++) {
      const float variance = v[i] > kTableVariance ? v[i] : kTableVariance;
      const int size = int(matched_scale(variance) * std::fabs(z[i]) + centred_uniform(words[i]));
      const int k = z[i] < 0.0f ? -size : size;
      to[i] += v[i] > kTableVariance ? k : 0;
    }
  }

  const Move& move_;
  const LawTable& table_;
};

/// The displacements of a tile, in steps, and what becomes of them.
struct Pulls {
  alignas(64) float x[kTile], alpha[kTile], beta[kTile], v[kTile + N];
  alignas(64) int32_t next[kTile];

  void set(size_t i, const Kick& kick) {
    alpha[i] = kick.alpha;
    beta[i] = kick.beta;
  }
  /// Of a run with noise s steps.
  void set(size_t from, size_t n, const float* decay, const Same& s) {
    const Kick kick(decay, 0, s.value);
    for (size_t i = from; i < from + n; i++) alpha[i] = kick.alpha;
    for (size_t i = from; i < from + n; i++) beta[i] = kick.beta;
  }
  void set(size_t from, size_t n, const float* decay, const EachScale& s) {
    for (size_t i = 0; i < n; i++) set(from + i, Kick(decay, 0, s[i]));
  }

  /// next[0, n) from x, alpha and beta.
  template <class Kicks>
  void operator()(size_t n, float a, Kicks& kicks) {
    static const uint32_t none[kTile] = {};
    int displaced = 0;
    for (size_t i = 0; i < n; i++) displaced |= x[i] != 0.0f;
    const uint32_t* words = displaced ? kicks.draws.pulls() : none;
    for (size_t i = 0; i < n; i++) {
      const float size = std::fabs(x[i]), pulled = a * size;
      const int whole = int(pulled);
      const float part = pulled - float(whole);
      const int steps = whole + int(unit_uniform(words[i]) < part);
      next[i] = x[i] < 0.0f ? -steps : steps;
      const float variance = alpha[i] + beta[i] * (size * size) - part * (1.0f - part);
      v[i] = variance > 0.0f ? variance : 0.0f;
    }
    kicks.add(next, v, n);
  }
};

}  // namespace brownian::BROWNIAN_TARGET
