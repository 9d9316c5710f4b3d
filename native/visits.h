// Evolutions by visits, as of the dynamics `langevin`: at every tick one stretch of each tensor takes a step.
#pragma once
#include <utility>

#include "plan.h"

namespace brownian {

class Visits : public Plan {
 public:
  Visits(const std::shared_ptr<Mapping>& source, std::shared_ptr<Spare> spare, uint64_t stride) : Plan(source, std::move(spare)), stride(stride) {}

  /// Ticks from one step of a weight to the next.
  const uint64_t stride;

  double write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const override;
  void make(const Target& target, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const override;

 protected:
  Span due(const PlannedTensor& tensor, uint32_t tick) const override { return visited(tensor, tick, stride); }

 private:
  size_t step(uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const;
};

}  // namespace brownian
