// Work on byte ranges of whole blocks, spread over threads: what ranges.h declares.
#include "ranges.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "parallel.h"

namespace brownian {
namespace {

/// Calls work(first weight, first byte, bytes) for chunks of so many bytes, and adds up what comes back.
template <class Work>
double sum_over(uint64_t bytes, const int32_t* format, unsigned threads, Work work) {
  const uint64_t block_bytes = uint64_t(format[kBytes]), block_weights = uint64_t(format[kWeights]);
  std::atomic<uint64_t> sum{0};
  in_parallel(bytes / block_bytes * block_weights, kGrain, threads, [&](uint64_t begin, uint64_t end) {
    sum += work(begin, begin / block_weights * block_bytes, size_t((end - begin) / block_weights * block_bytes));
  });
  return double(sum);
}

Move moved_on(const Move& move, uint64_t weights) {
  Move on = move;
  on.index += weights;
  return on;
}

}  // namespace

double perturb_range(Workers workers, uint8_t* data, const uint8_t* source, uint64_t bytes, const Move& move) {
  return sum_over(bytes, move.format, workers.threads, [&](uint64_t weight, uint64_t at, size_t length) {
    if (source != nullptr) memcpy(data + at, source + at, length);
    return workers.target->perturb(data + at, length, moved_on(move, weight), *law_table());
  });
}

double difference_range(Workers workers, const uint8_t* a, const uint8_t* b, uint64_t bytes, const int32_t* format) {
  return sum_over(bytes, format, workers.threads,
                  [&](uint64_t, uint64_t at, size_t length) { return workers.target->difference(a + at, b + at, length, format); });
}

double sum_squares_range(Workers workers, const uint8_t* data, uint64_t bytes, const int32_t* format, const float* steps, uint64_t row_length) {
  const uint64_t block_bytes = uint64_t(format[kBytes]), block_weights = uint64_t(format[kWeights]);
  const uint64_t weights = bytes / block_bytes * block_weights;
  std::vector<double> leaves(size_t((weights + kSumLeaf - 1) / kSumLeaf));
  in_parallel(weights, kSumLeaf, workers.threads, [&](uint64_t begin, uint64_t end) {
    leaves[size_t(begin / kSumLeaf)] = workers.target->sum_squares(
        data + begin / block_weights * block_bytes, size_t((end - begin) / block_weights * block_bytes), format, steps, row_length, begin, 0.0);
  });
  double total = 0;
  for (const double leaf : leaves) total += leaf;
  return total;
}

void copy_range(unsigned threads, uint8_t* to, const uint8_t* from, uint64_t bytes) {
  in_parallel(bytes, kGrain, threads, [&](uint64_t begin, uint64_t end) { memcpy(to + begin, from + begin, size_t(end - begin)); });
}

void index_range(Workers workers, StepIndex& index, const uint8_t* data) {
  in_parallel(index.weights, kJournalSpan, workers.threads, [&](uint64_t begin, uint64_t end) {
    const size_t blocks = size_t((end - begin) / uint64_t(index.format[kWeights]));
    workers.target->index_steps(index.classes_at(begin), index.tiles_at(begin), data + index.bytes(begin), blocks, index.format);
  });
}

std::vector<double> redraw_ranges(Workers workers, const std::vector<Redrawn>& all) {
  constexpr uint64_t kGrainOfIt = 4 * kJournalSpan;
  struct Piece {
    size_t of;
    uint64_t begin, end;
  };
  std::vector<Piece> pieces;
  for (size_t i = 0; i < all.size(); i++) {
    const uint64_t weights = all[i].weights;
    for (uint64_t begin = 0; begin < weights; begin += kGrainOfIt) pieces.push_back({i, begin, std::min(weights, begin + kGrainOfIt)});
  }
  std::vector<std::atomic<uint64_t>> changed(all.size());
  in_parallel(pieces.size(), 1, workers.threads, [&](uint64_t number, uint64_t) {
    const Piece& piece = pieces[size_t(number)];
    const Redrawn& one = all[piece.of];
    const uint64_t at = one.index->bytes(piece.begin), first = one.move->index;
    changed[piece.of] +=
        workers.target->redraw(one.live + at, one.pristine + at, one.index->at(first + piece.begin, first + piece.end), *one.move, *law_table());
  });
  return {changed.begin(), changed.end()};
}

}  // namespace brownian
