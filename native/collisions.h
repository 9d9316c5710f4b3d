// The dynamics `andersen`: cells of kCollisionCell weights that are drawn anew, each by a chance of its own at every tick.
#pragma once
#include <utility>

#include "plan.h"

namespace brownian {

/// Cells whose word is below `threshold` collide: live := source, moved, of which those codes count that differ then.
class Collisions : public Plan {
 public:
  Collisions(const std::shared_ptr<Mapping>& source, std::shared_ptr<Spare> spare, uint64_t threshold)
      : Plan(source, std::move(spare)), threshold_(threshold) {}

  /// With room for what chance adds.
  size_t made_bytes(const Part& part) const override { return size_t(double(part.bytes()) * share() * 1.5) + 1024; }
  uint64_t grain() const override { return kPart; }
  double share() const override { return double(threshold_) / 4294967296.0; }
  double write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const override;
  void make(const Target& target, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const override;

 private:
  static constexpr uint64_t kPart = 16 * kGrain;

  template <class Ahead, class Use>
  void each_run(const Target& target, const Part& part, uint32_t tick, Ahead ahead, Use use) const;

  const uint64_t threshold_;
};

}  // namespace brownian
