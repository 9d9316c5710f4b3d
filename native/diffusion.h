// The dynamics `wiener`: every weight moves from where it is, at every tick.
#pragma once
#include <utility>

#include "plan.h"

namespace brownian {

class Diffusion : public Plan {
 public:
  explicit Diffusion(std::shared_ptr<Mapping> source) : Plan(std::move(source)) {}

  /// Not all lines change where moves are rare.
  size_t made_bytes(const Part& part) const override { return part.bytes() / 4; }
  double write(const Target& target, uint8_t* live, const Part& part, uint32_t tick) const override;
  void make(const Target& target, const uint8_t* live, const Part& part, uint32_t tick, Made& made) const override;
};

}  // namespace brownian
