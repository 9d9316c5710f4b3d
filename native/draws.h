// Draws of whole tensors, as the dynamics `white` has at every tick: pristine, moved.
#pragma once
#include <utility>

#include "plan.h"

namespace brownian {

class Redraw : public Plan {
 public:
  Redraw(const std::shared_ptr<Mapping>& source, std::shared_ptr<Spare> spare) : Plan(source, std::move(spare)) {}

  double write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const override;
  void make(const Target& target, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const override;
};

}  // namespace brownian
