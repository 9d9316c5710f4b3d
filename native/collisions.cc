// Which cells collide at a tick, and drawing them anew.
#include "collisions.h"

#include <algorithm>
#include <cstring>

namespace brownian {
namespace {

/// Bytes of a cache line, and how many lines are asked for ahead of time: those that follow are fetched as they are read, one after the other.
constexpr uint64_t kLine = 64, kLinesAhead = 32;

template <bool kWrite>
void prefetch_lines(const uint8_t* data, uint64_t from, uint64_t to) {
  for (uint64_t at = from; at < std::min(to, from + kLinesAhead * kLine); at += kLine) prefetch<kWrite>(data + at);
}

}  // namespace

/// Calls use(byte in the file, bytes, move) for every run of neighbouring cells that collide; ahead(first, last byte) has been called a run earlier.
template <class Ahead, class Use>
void Collisions::each_run(const Target& target, const Part& part, uint32_t tick, Ahead ahead, Use use) const {
  const PlannedTensor& tensor = *part.tensor;
  const uint64_t first = part.begin / kCollisionCell;
  uint32_t words[kPart / kCollisionCell];
  const size_t cells = size_t((part.end - part.begin + kCollisionCell - 1) / kCollisionCell);
  target.bits(words, cells, tensor.owned->move.key, {first >> 2, uint32_t(first & 3), tick, kCollisionPurpose});
  // The first cell from here on that collides, and the first after it that does not.
  const auto next = [&](size_t cell) {
    while (cell < cells && words[cell] >= threshold_) cell++;
    size_t after = cell;
    while (after < cells && words[after] < threshold_) after++;
    return std::make_pair(cell, after);
  };
  const auto weight_of = [&](size_t cell) { return std::min(part.end, part.begin + cell * kCollisionCell); };
  const auto byte_of = [&](size_t cell) { return tensor.byte_of(weight_of(cell)); };
  for (auto run = next(0); run.first < cells;) {
    const auto after = next(run.second);
    ahead(byte_of(after.first), byte_of(after.second));
    use(byte_of(run.first), size_t(byte_of(run.second) - byte_of(run.first)), tensor.move_at(weight_of(run.first), tick));
    run = after;
  }
}

double Collisions::write(const Target& target, uint8_t* live, const uint8_t* from, const Part& part, uint32_t tick) const {
  double changed = 0;
  const auto ahead = [&](uint64_t first, uint64_t last) {
    prefetch_lines<false>(from, first, last);
    prefetch_lines<true>(live, first, last);
  };
  each_run(target, part, tick, ahead, [&](uint64_t at, size_t bytes, const Move& move) {
    memcpy(live + at, from + at, bytes);
    changed += double(target.perturb(live + at, bytes, move, *law_table()));
  });
  return changed;
}

void Collisions::make(const Target& target, const uint8_t*, const uint8_t* from, const Part& part, uint32_t tick, Made& made) const {
  const auto ahead = [&](uint64_t first, uint64_t last) { prefetch_lines<false>(from, first, last); };
  each_run(target, part, tick, ahead, [&](uint64_t at, size_t bytes, const Move& move) {
    const size_t begin = made.bytes.size();
    made.bytes.insert(made.bytes.end(), from + at, from + at + bytes);
    made.changed += double(target.perturb(made.bytes.data() + begin, bytes, move, *law_table()));
    made.runs.push_back({at, bytes});
  });
}

}  // namespace brownian
