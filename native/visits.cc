// The step of the weights that are visited at a tick.
#include "visits.h"

namespace brownian {

/// One step of the part, of which `live` is the first byte.
size_t Visits::step(uint8_t* live, const Part& part, uint32_t tick) const {
  const PlannedTensor& tensor = *part.tensor;
  return tensor.evolution->step(live, source->data() + part.at(), part.bytes(), tensor.move_at(part.begin, tick), tensor.parameters.data(),
                                *law_table());
}

double Visits::write(const Target&, uint8_t* live, const Part& part, uint32_t tick) const { return double(step(live + part.at(), part, tick)); }

void Visits::make(const Target&, const uint8_t* live, const Part& part, uint32_t tick, Made& made) const {
  made.bytes.assign(live + part.at(), live + part.at() + part.bytes());
  made.runs.push_back({part.at(), part.bytes()});
  made.changed = double(step(made.bytes.data(), part, tick));
}

}  // namespace brownian
