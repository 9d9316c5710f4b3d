// The step of the weights that are visited at a tick.
#include "visits.h"

namespace brownian {

/// One step of the part, of which these are the first bytes.
size_t Visits::step(uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const {
  const PlannedTensor& tensor = *part.tensor;
  return tensor.evolution->step(live, pristine, part.bytes(), tensor.move_at(part.begin, tick), tensor.parameters.data(), *law_table());
}

double Visits::write(const Target&, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const {
  return double(step(live + part.at(), pristine + part.at(), part, tick));
}

void Visits::make(const Target&, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const {
  made.bytes.assign(live + part.at(), live + part.at() + part.bytes());
  made.runs.push_back({part.at(), part.bytes()});
  made.changed = double(step(made.bytes.data(), pristine + part.at(), part, tick));
}

}  // namespace brownian
