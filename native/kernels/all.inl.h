// Every kernel, as one target: written once over N lanes of U and F (32 bits), B_LANES lanes of B (8 bits) and the operations on them, all of
// which the including target has defined (targets/*.h), with BROWNIAN_TARGET, its namespace, and BROWNIAN_VECTORS, 0 where there is but one
// lane. A target is a source file of its own, compiled with flags of its own, in which each of these texts stands once.
#pragma once
#include "census.inl.h"
#include "difference.inl.h"
#include "evolutions.inl.h"
#include "format.h"
#include "indexed.inl.h"
#include "logits.inl.h"
#include "noise.inl.h"
#include "perturb.inl.h"
#include "sums.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr Target target(const char* name) {
  return {name,
          bits,
          uniform,
          normal,
          perturb,
          sum_squares,
          index_steps,
          redraw,
          difference,
          read_logits,
          add_probabilities,
          take_census,
          kEvolutions,
          sizeof(kEvolutions) / sizeof(*kEvolutions)};
}

}  // namespace brownian::BROWNIAN_TARGET
