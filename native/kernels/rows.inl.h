// Rows, whose one step is given and not read; and moves of codes that have no other step. Formulas: src/laws/moves.ts.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "laws.inl.h"
#include "put_moves.inl.h"
#include "rare_rows.inl.h"
#include "runs.inl.h"

namespace brownian::BROWNIAN_TARGET {

inline bool in_table(const Move& move, float s) { return move.rounding == kMatched && s * s <= kCoarseVariance; }

/// A row by its step: s where it is dense, the variance where it moves rarely.
struct Row {
  float s, rare;
  Kinds kinds;

  Row(const Move& move, float step) : s(scale_in_steps(move, step)) { kinds = part(move, &s, &rare, 1); }
};

/// Codes without a step of their own: rows with one given step each. Where moves are rare nothing is looked at but what is hit.
class RowMover {
 public:
  RowMover(const Move& move, const LawTable& table, Draws& draws) : move_(move), table_(table), draws_(draws) {}

  size_t operator()(uint8_t* data, size_t n) {
    bool dense = false, any_rare = false, classes[kLastClass - kFirstClass + 1] = {};
    size_t rows = 0;
    each_row(move_.steps, move_.row_length, move_.index, n, [&](uint64_t, uint64_t, float step) {
      const Row row(move_, step);
      dense |= row.kinds.dense;
      any_rare |= row.kinds.rare;
      if (row.kinds.rare) classes[class_of(row.rare) - kFirstClass] = true;
      rows++;
    });
    size_t changed = 0;
    for (size_t tile = 0; dense && tile < n;) {
      const size_t left = kTile - size_t((move_.index + tile) % kTile), count = n - tile < left ? n - tile : left;
      draws_.begin(move_.index + tile, count);
      changed += dense_tile(data + tile, count);
      tile += count;
    }
    if (!any_rare) return changed;
    Hits hits(table_, move_.key, move_.tick);
    for (int c = kLastClass; c >= kFirstClass; c--) {
      if (classes[c - kFirstClass]) changed += rare(data, n, hits, c, rows == 1);
    }
    return changed;
  }

 private:
  size_t dense_tile(uint8_t* data, size_t n) {
    alignas(64) int8_t k[kTile + 64];
    each_row(move_.steps, move_.row_length, draws_.index, n, [&](size_t start, size_t length, float step) {
      const Row row(move_, step);
      if (!row.kinds.dense) memset(k + start, 0, length);
      else if (in_table(move_, row.s)) {
        const Grid grid(row.s * row.s);
        alias_run(k, start, length, table_, grid.variance, draws_);
        if (grid.bits > 0) refine_moves(k + start, length, grid.bits, draws_.fine() + start);
      } else kick_run(k, start, length, row.s, move_, draws_, 4 * length < n);
    });
    return put_moves(data, n, n, k, move_.format);
  }

  size_t rare(uint8_t* data, size_t n, Hits& hits, int rare_class, bool one_row) {
    HitMoves moves(data, move_.index, move_.format);
    const auto share_of_row = [&](uint64_t number) {
      const Row row(move_, move_.steps[number]);
      return row.kinds.rare && class_of(row.rare) == rare_class ? share_of(row.rare, rare_class) : 0;
    };
    const auto ahead = [&](const Accepted* accepted, size_t count) { moves.prefetch(accepted, count); };
    const auto use = [&](const Accepted* accepted, size_t count) { moves.apply(accepted, count); };
    if (one_row) {
      const uint32_t share = share_of_row(move_.index / move_.row_length);
      hits.each(rare_class, move_.index, move_.index + n, [&](uint64_t) { return share; }, ahead, use);
    } else {
      hits.each(rare_class, move_.index, move_.index + n, [&](uint64_t weight) { return share_of_row(weight / move_.row_length); }, ahead, use);
    }
    return moves.changed;
  }

  const Move& move_;
  const LawTable& table_;
  Draws& draws_;
};

}  // namespace brownian::BROWNIAN_TARGET
