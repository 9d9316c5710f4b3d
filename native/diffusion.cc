// Moving from where weights are; made ahead, what is kept of it are the lines that change, which are few where moves are rare.
#include "diffusion.h"

#include <algorithm>
#include <cstring>

namespace brownian {
namespace {

/// Bytes of a cache line, and as words.
constexpr size_t kLine = 64, kWords = kLine / sizeof(uint64_t);

bool differ(const uint8_t* a, const uint8_t* b, size_t bytes) {
  if (bytes < kLine) return memcmp(a, b, bytes) != 0;
  uint64_t x[kWords], y[kWords], different = 0;
  memcpy(x, a, kLine);
  memcpy(y, b, kLine);
  for (size_t i = 0; i < kWords; i++) different |= x[i] ^ y[i];
  return different != 0;
}

}  // namespace

double Diffusion::write(const Target& target, uint8_t* live, const uint8_t*, const Part& part, uint32_t tick) const {
  return double(target.perturb(live + part.at(), part.bytes(), part.tensor->move_at(part.begin, tick), *law_table()));
}

void Diffusion::make(const Target& target, const uint8_t* live, const uint8_t*, const Part& part, uint32_t tick, Made& made) const {
  const uint8_t* const from = live + part.at();
  const size_t bytes = part.bytes();
  Made spared = spare->take(bytes);
  std::vector<uint8_t>& next = spared.bytes;
  next.assign(from, from + bytes);
  made.changed = double(target.perturb(next.data(), bytes, part.tensor->move_at(part.begin, tick), *law_table()));
  for (size_t at = 0; at < bytes;) {
    while (at < bytes && !differ(&next[at], from + at, std::min(kLine, bytes - at))) at += kLine;
    const size_t first = at;
    while (at < bytes && differ(&next[at], from + at, std::min(kLine, bytes - at))) at += kLine;
    if (first >= bytes) break;
    const size_t last = std::min(at, bytes);
    made.bytes.insert(made.bytes.end(), next.begin() + ptrdiff_t(first), next.begin() + ptrdiff_t(last));
    made.runs.push_back({part.at() + first, last - first});
  }
  changing_ = std::max(changing_.load(), double(made.bytes.size()) / double(bytes));
  spare->give(std::move(spared));
}

}  // namespace brownian
