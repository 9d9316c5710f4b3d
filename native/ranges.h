// Work on long ranges of weights, on threads: cut into chunks that are whole blocks, whose results do not depend on how many threads there are.
// Knows nothing of JavaScript; arguments are checked (arguments.h).
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/format.h"
#include "law_table.h"
#include "step_index.h"

namespace brownian {

/// Weights a thread takes at a time: a multiple of every block and of the leaf of sums.
constexpr uint64_t kGrain = 4 * kSumLeaf;

/// Where the work is done.
struct Workers {
  const Target* target;
  unsigned threads;
};

/// Moves whole blocks, copied from `source` first unless that is null; returns how many codes changed.
double perturb_range(Workers workers, uint8_t* data, const uint8_t* source, uint64_t bytes, const Move& move);

/// How many codes differ.
double difference_range(Workers workers, const uint8_t* a, const uint8_t* b, uint64_t bytes, const int32_t* format);

/// The sum of squares of a whole tensor.
double sum_squares_range(Workers workers, const uint8_t* data, uint64_t bytes, const int32_t* format, const float* steps, uint64_t row_length);

void copy_range(unsigned threads, uint8_t* to, const uint8_t* from, uint64_t bytes);

/// The index of a whole tensor.
void index_range(Workers workers, StepIndex& index, const uint8_t* data);

/// A move of whole spans of kJournalSpan weights by their index, at these bytes, beginning with the weight of the move.
struct Redrawn {
  uint8_t* live;
  const uint8_t* pristine;
  StepIndex* index;
  uint64_t weights;
  const Move* move;
};

/// All of these moves, over threads at once: of one tensor alone they may be less work than the way to a thread and back. How many codes changed in each.
std::vector<double> redraw_ranges(Workers workers, const std::vector<Redrawn>& all);

}  // namespace brownian
