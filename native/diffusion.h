// The dynamics `wiener`: weights move from where they are, at every tick one stretch of each tensor.
#pragma once
#include <atomic>
#include <utility>

#include "plan.h"

namespace brownian {

class Diffusion : public Plan {
 public:
  Diffusion(const std::shared_ptr<Mapping>& source, std::shared_ptr<Spare> spare, uint64_t stride) : Plan(source, std::move(spare)), stride(stride) {}

  /// Ticks from one move of a weight to the next.
  const uint64_t stride;

  /// Not all lines change where moves are rare: as many as have so far, at most.
  size_t made_bytes(const Part& part) const override { return size_t(double(part.bytes()) * changing_) + 1024; }
  double write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const override;
  void make(const Target& target, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const override;

 protected:
  Span due(const PlannedTensor& tensor, uint32_t tick) const override { return visited(tensor, tick, stride); }

 private:
  /// The greatest share of a part's bytes that were in lines that changed. Parts are made by one thread at a time.
  mutable std::atomic<double> changing_{0.25};
};

}  // namespace brownian
