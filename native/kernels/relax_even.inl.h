// `relax` of codes on an even grid whose runs have one sigma: pulls by what noise they have (src/laws/pulls.ts), then kicks, which are moves like
// any others where all of a run have the same.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "codes.inl.h"
#include "difference.inl.h"
#include "displacements.inl.h"
#include "lattice.inl.h"
#include "pulls.inl.h"
#include "relax_kicks.inl.h"
#include "rows.inl.h"
#include "runs.inl.h"

namespace brownian::BROWNIAN_TARGET {

/// Pulls a tile of codes on an even grid; those of middle noise are kicked, too. The kicks of the others are one for all of a run.
inline void pull_codes(uint8_t* live, const uint8_t* pristine, size_t blocks, size_t n, const Move& move, const float* decay, RunKicks& kicks) {
  alignas(64) uint8_t to[kTile + 64], from[kTile + 64];
  unpack(to, live, blocks, move.format);
  unpack(from, pristine, blocks, move.format);
  const Rails rails(move.format);
  Draws& draws = kicks.draws;
  // Stretches of runs of one kind: most tiles are one.
  size_t begun = 0;
  Pull kind = Pull::light;
  bool middle = false;
  const auto pull_to = [&](size_t end) {
    const size_t length = end - begun;
    if (kind == Pull::light) forget(to + begun, from + begun, begun, length, decay[0], draws);
    else if (kind == Pull::heavy) dither(to + begun, from + begun, begun, length, decay[0], rails, draws);
    begun = end;
  };
  const auto kind_of = [&](float step) { return pull_of(scale_in_steps(move.sigma, move.in_steps, step), decay); };
  each_run(pristine, blocks, n, move, draws.index, [&](size_t start, size_t, float step) {
    const Pull own = kind_of(step);
    if (own != kind && start > begun) pull_to(start);
    kind = own;
    middle |= own == Pull::middle;
  });
  pull_to(n);
  if (middle) {
    alignas(64) uint8_t each[kTile];
    Pulls pulls;
    for (size_t i = 0; i < n; i++) pulls.x[i] = float(int(to[i] ^ rails.flip) - int(from[i] ^ rails.flip));
    memcpy(each, to, n);
    each_run(pristine, blocks, n, move, draws.index, [&](size_t start, size_t length, float step) {
      pulls.set(start, length, decay, kind_of(step) == Pull::middle ? kicks.scales(start, step, 1.0f) : Same{0.0f});
    });
    pulls(n, decay[0], kicks);
    put_displacements(each, from, pulls.next, n, move.format);
    each_run(pristine, blocks, n, move, draws.index, [&](size_t start, size_t length, float step) {
      if (kind_of(step) == Pull::middle) memcpy(to + start, each + start, length);
    });
  }
  pack(to, live, blocks, move.format);
}

/// Codes on an even grid of which runs have one sigma: pulls, then kicks, which are moves like any others, span by span.
inline size_t relax_even(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay, const LawTable& table, Draws& draws) {
  const int32_t* format = move.format;
  const size_t weights = size_t(format[kWeights]), block_bytes = size_t(format[kBytes]), blocks = bytes / block_bytes;
  RunKicks kicks(move, table, draws);
  Move here = move, kick = move;
  kick.decay = decay;
  std::vector<uint8_t> before(kSpan / weights * block_bytes);
  size_t changed = 0;
  for (size_t block = 0; block < blocks;) {
    const uint64_t index = move.index + uint64_t(block) * weights;
    const size_t left = size_t((kSpan - index % kSpan + weights - 1) / weights), count = left < blocks - block ? left : blocks - block;
    const size_t at = block * block_bytes, length = count * block_bytes;
    here.index = kick.index = index;
    memcpy(before.data(), live + at, length);
    each_tile(length, here, draws, [&](size_t tile, size_t some, size_t n) {
      pull_codes(live + at + tile, pristine + at + tile, some, n, move, decay, kicks);
      return size_t(0);
    });
    if (move.sigma > 0.0f) {
      if (format[kStep] == kStepExternal) RowMover(kick, table, draws)(live + at, count);
      else GroupMover(kick, table, draws)(live + at, count);
    }
    changed += difference(before.data(), live + at, length, format);
    block += count;
  }
  return changed;
}

}  // namespace brownian::BROWNIAN_TARGET
