// Drawing whole tensors anew.
#include "draws.h"

#include <cstring>

namespace brownian {

double Redraw::write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const {
  uint8_t* const to = live + part.at();
  memcpy(to, pristine + part.at(), part.bytes());
  return double(target.perturb(to, part.bytes(), part.tensor->move_at(part.begin, tick), *law_table()));
}

void Redraw::make(const Target& target, const uint8_t*, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const {
  const uint8_t* const from = pristine + part.at();
  made.bytes.assign(from, from + part.bytes());
  made.runs.push_back({part.at(), part.bytes()});
  made.changed = double(target.perturb(made.bytes.data(), part.bytes(), part.tensor->move_at(part.begin, tick), *law_table()));
}

}  // namespace brownian
