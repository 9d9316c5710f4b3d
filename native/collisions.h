// The dynamics `andersen`: cells of kCell weights that are drawn anew, each by a chance of its own at every tick. Knows nothing of JavaScript.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "arguments.h"
#include "mapped_file.h"
#include "ranges.h"

namespace brownian {

/// Tensors whose cells collide, and how those move: told once, since ticks are to take no time.
class CollisionPlan {
 public:
  /// A range of a tensor that a thread takes at a time.
  struct Part {
    std::shared_ptr<OwnedMove> owned;
    uint64_t offset, begin, end;  // of the tensor in the file; weights
  };

  explicit CollisionPlan(std::shared_ptr<Mapping> source) : source(std::move(source)) {}

  /// A tensor of so many weights, at this byte.
  void add(std::shared_ptr<OwnedMove> owned, uint64_t offset, uint64_t bytes);

  const std::shared_ptr<Mapping> source;
  std::vector<Part> parts;
  double weights = 0;
  uint64_t end = 0;  // the first byte of the file after all tensors
};

/// Which cells collide at a tick: those whose word is below the threshold.
struct Collisions {
  std::shared_ptr<CollisionPlan> plan;
  uint32_t tick;
  uint64_t threshold;

  /// How many weights, on average.
  double expected() const { return plan->weights * double(threshold) / 4294967296.0; }

  /// live := source, moved, in the cells that collide; returns how many codes of them differ then.
  double collide(Workers workers, uint8_t* live) const;

  /// What `collide` writes, before it is written.
  struct Prepared {
    struct Run {
      uint64_t at;
      size_t bytes;
    };
    std::vector<uint8_t> bytes;
    std::vector<Run> runs;
    double changed = 0;
    std::shared_ptr<Mapping> source;
    std::atomic<bool> done{false}, given_up{false};

    /// The file being at least `plan.end` bytes.
    void write(uint8_t* live) const;
    /// Frees what was prepared: the garbage collector, which does not know how much it is, lets hundreds of them wait.
    void drop() {
      std::vector<uint8_t>().swap(bytes);
      std::vector<Run>().swap(runs);
    }
    uint64_t end = 0;
  };

  void prepare(const Target& target, Prepared& prepared) const;

 private:
  template <class Ahead, class Use>
  void each_run(const Target& target, const CollisionPlan::Part& part, Ahead ahead, Use use) const;
};

}  // namespace brownian
