// Which cells collide at a tick, and drawing them anew at once or ahead of time.
#include "collisions.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "parallel.h"

namespace brownian {
namespace {

/// Bytes of a cache line.
constexpr uint64_t kLine = 64;

template <bool kWrite>
void prefetch_lines(const uint8_t* data, uint64_t from, uint64_t to) {
  for (uint64_t at = from; at < to; at += kLine) prefetch<kWrite>(data + at);
}

}  // namespace

void CollisionPlan::add(std::shared_ptr<OwnedMove> owned, uint64_t offset, uint64_t bytes) {
  const uint64_t count = owned->format.weights(bytes);
  for (uint64_t begin = 0; begin < count; begin += kGrain) parts.push_back({owned, offset, begin, std::min(count, begin + kGrain)});
  weights += double(count);
  end = std::max(end, offset + bytes);
}

/// Calls use(byte in the file, bytes, move) for every run of neighbouring cells that collide; ahead(first, last byte) has been called a run earlier.
template <class Ahead, class Use>
void Collisions::each_run(const Target& target, const CollisionPlan::Part& part, Ahead ahead, Use use) const {
  const OwnedMove& owned = *part.owned;
  const uint64_t block_weights = uint64_t(owned.format.fields[kWeights]), block_bytes = uint64_t(owned.format.fields[kBytes]);
  const uint64_t first = part.begin / kCell;
  uint32_t words[kGrain / kCell];
  const size_t cells = size_t((part.end - part.begin + kCell - 1) / kCell);
  target.bits(words, cells, owned.move.key, {first >> 2, uint32_t(first & 3), tick, kCollisionPurpose});
  // The first cell from here on that collides, and the first after it that does not.
  const auto next = [&](size_t cell) {
    while (cell < cells && words[cell] >= threshold) cell++;
    size_t after = cell;
    while (after < cells && words[after] < threshold) after++;
    return std::make_pair(cell, after);
  };
  const auto weight_of = [&](size_t cell) { return std::min(part.end, part.begin + cell * kCell); };
  const auto byte_of = [&](size_t cell) { return part.offset + weight_of(cell) / block_weights * block_bytes; };
  for (auto run = next(0); run.first < cells;) {
    const auto after = next(run.second);
    ahead(byte_of(after.first), byte_of(after.second));
    Move move = owned.move;
    move.index += weight_of(run.first);
    move.tick = tick;
    use(byte_of(run.first), size_t(byte_of(run.second) - byte_of(run.first)), move);
    run = after;
  }
}

double Collisions::collide(Workers workers, uint8_t* live) const {
  std::atomic<uint64_t> changed{0};
  const uint8_t* const source = plan->source->data();
  in_parallel(plan->parts.size(), 1, workers.threads, [&](uint64_t which, uint64_t) {
    const auto ahead = [&](uint64_t from, uint64_t to) {
      prefetch_lines<false>(source, from, to);
      prefetch_lines<true>(live, from, to);
    };
    each_run(*workers.target, plan->parts[size_t(which)], ahead, [&](uint64_t at, size_t bytes, const Move& move) {
      memcpy(live + at, source + at, bytes);
      changed += workers.target->perturb(live + at, bytes, move, *law_table());
    });
  });
  return double(changed);
}

void Collisions::prepare(const Target& target, Prepared& prepared) const {
  const uint8_t* const source = plan->source->data();
  prepared.bytes.reserve(size_t(expected() * 1.5) + 65536);
  for (const auto& part : plan->parts) {
    const auto ahead = [&](uint64_t from, uint64_t to) { prefetch_lines<false>(source, from, to); };
    each_run(target, part, ahead, [&](uint64_t at, size_t bytes, const Move& move) {
      if (prepared.given_up) return;
      const size_t from = prepared.bytes.size();
      prepared.bytes.insert(prepared.bytes.end(), source + at, source + at + bytes);
      prepared.changed += double(target.perturb(prepared.bytes.data() + from, bytes, move, *law_table()));
      prepared.runs.push_back({at, bytes});
    });
  }
  if (prepared.given_up) {
    prepared.drop(); // nobody reads what was not done
    return;
  }
  prepared.done = true;
}

void Collisions::Prepared::write(uint8_t* live) const {
  const uint8_t* from = bytes.data();
  for (const Run& run : runs) {
    memcpy(live + run.at, from, run.bytes);
    from += run.bytes;
  }
}

}  // namespace brownian
