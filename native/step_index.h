// The index of a tensor's steps, and what its last draw did: what kernels/indexed.inl.h makes and takes.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/format.h"

namespace brownian {

class StepIndex {
 public:
  /// Of a tensor of so many bytes.
  StepIndex(const int32_t* given, uint64_t length) {
    memcpy(format, given, sizeof(format));
    weights = length / uint64_t(format[kBytes]) * uint64_t(format[kWeights]);
    const uint64_t tiles = (weights + kTile - 1) / kTile;
    classes_.resize(size_t(tiles * (kTile / weights_of_classes(format))));
    tiles_.resize(size_t(tiles * 2));
    journals_.resize(size_t((weights + kJournalSpan - 1) / kJournalSpan));
    in_use_.resize(journals_.size());
  }

  /// Whether there is an index for weights of this format: groups of codes on a uniform grid, with steps of their own.
  static bool serves(const int32_t* format) { return format[kKind] == kLattice && format[kLevels] == kUniform && format[kStep] != kStepExternal; }

  /// Whether [begin, end) are whole spans of kJournalSpan weights, up to the tensor's end.
  bool whole_spans(uint64_t begin, uint64_t end) const {
    return begin % kJournalSpan == 0 && begin <= end && end <= weights && (end % kJournalSpan == 0 || end == weights);
  }

  uint64_t bytes(uint64_t weight) const { return weight / uint64_t(format[kWeights]) * uint64_t(format[kBytes]); }
  uint8_t* classes_at(uint64_t weight) { return classes_.data() + weight / weights_of_classes(format); }
  uint8_t* tiles_at(uint64_t weight) { return tiles_.data() + weight / kTile * 2; }
  Indexed at(uint64_t begin, uint64_t end) {
    return {classes_at(begin), tiles_at(begin), &journals_[size_t(begin / kJournalSpan)], format, begin, size_t(end - begin)};
  }

  /// Spans have one draw at a time. False where one of them is in use; both calls come from the thread of JavaScript.
  bool take(uint64_t begin, uint64_t end) {
    for (uint64_t at = begin; at < end; at += kJournalSpan) {
      if (in_use_[size_t(at / kJournalSpan)]) return false;
    }
    mark(begin, end, true);
    return true;
  }
  void release(uint64_t begin, uint64_t end) { mark(begin, end, false); }

  /// Bytes of what is known of the steps.
  uint64_t index_bytes() const { return classes_.capacity() + tiles_.capacity(); }
  /// Bytes of what undoes the last draw. Of spans that are drawn now, none: nobody else may look at them.
  uint64_t journal_bytes() const {
    uint64_t sum = 0;
    for (size_t i = 0; i < journals_.size(); i++) {
      sum += sizeof(Journal) + 1;
      if (!in_use_[i]) sum += (journals_[i].moves.capacity() + journals_[i].tiles.capacity()) * sizeof(uint32_t);
    }
    return sum;
  }

  int32_t format[kFormatFields];
  uint64_t weights;

 private:
  void mark(uint64_t begin, uint64_t end, bool in_use) {
    for (uint64_t at = begin; at < end; at += kJournalSpan) in_use_[size_t(at / kJournalSpan)] = in_use;
  }

  std::vector<uint8_t> classes_, tiles_;
  std::vector<Journal> journals_;
  std::vector<uint8_t> in_use_;
};

}  // namespace brownian
