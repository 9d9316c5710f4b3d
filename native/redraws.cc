// Checks what is to be drawn again, and holds its indices.
#include "redraws.h"

#include <cstring>

#include "held.h"

namespace brownian {

FileRange range_of(const Given& offset, const Given& length, const Mapping& file) {
  const FileRange range = {length, offset.whole(), length.whole()};
  if (range.offset + range.length > file.size()) throw Napi::RangeError::New(offset.env, "the range lies beyond the end of the file");
  return range;
}

Redraws::~Redraws() {
  for (size_t i = 0; i < taken_.size(); i++) taken_[i]->release(ranges_[i].move->index, ranges_[i].move->index + ranges_[i].weights);
}

void Redraws::add(const Given& tensor) {
  const FileRange range = range_of(tensor.property("offset"), tensor.property("length"), *live);
  if (range.offset + range.length > source->size()) throw Napi::RangeError::New(tensor.env, "the range lies beyond the end of the source");
  const GivenMove move(tensor.property("move"));
  const Given given = tensor.property("index");
  const auto index = held<StepIndex>(given);
  const uint64_t first = move.move.index, weights = move.check(range.length);
  if (move.by_column) move.given.refuse("has factors, which no index serves");
  if (!index->whole_spans(first, first + weights) || memcmp(move.format.fields, index->format, sizeof(index->format)) != 0)
    given.refuse("is not of this tensor");
  moves_.push_back(std::make_unique<OwnedMove>(move));
  if (!index->take(first, first + weights)) given.refuse("is in use for these weights");
  taken_.push_back(index);
  ranges_.push_back({live->data() + range.offset, source->data() + range.offset, index.get(), weights, &moves_.back()->move});
}

}  // namespace brownian
