// What happens to many tensors at a tick: told once, since ticks are to take no time, and then done at once, or made ready in the background and
// written when its tick has come. The bytes are the same either way. Knows nothing of JavaScript.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "arguments.h"
#include "mapped_file.h"
#include "ranges.h"

namespace brownian {

/// A whole tensor of the plan, at this byte of the file.
struct PlannedTensor {
  std::shared_ptr<const OwnedMove> owned;
  uint64_t offset, weights;
  const Evolution* evolution;  // if that is its step
  std::vector<float> parameters;

  uint64_t byte_of(uint64_t weight) const {
    return offset + weight / uint64_t(owned->format.fields[kWeights]) * uint64_t(owned->format.fields[kBytes]);
  }
  /// Its move from a weight on, as of a tick.
  Move move_at(uint64_t weight, uint32_t tick) const {
    Move move = owned->move;
    move.index += weight;
    move.tick = tick;
    return move;
  }
};

class Plan {
 public:
  /// Weights of a tensor that a thread takes at a time: at most grain().
  struct Part {
    const PlannedTensor* tensor;
    uint64_t begin, end;

    uint64_t at() const { return tensor->byte_of(begin); }
    size_t bytes() const { return size_t(tensor->byte_of(end) - at()); }
  };
  struct Span {
    uint64_t begin, end;
  };
  struct Run {
    uint64_t at;
    size_t bytes;
  };
  /// What becomes of a part, before it is written.
  struct Made {
    std::vector<uint8_t> bytes;
    std::vector<Run> runs;
    double changed = 0;

    void write(uint8_t* live) const;
    /// Of the memory that it has.
    uint64_t held() const { return bytes.capacity() + runs.capacity() * sizeof(Run); }
  };
  /// Memory for work made ahead, used again: fresh pages take longer to come by than what is put on them. One for all plans of a file: those of texts
  /// that are over wait for the garbage collector, which does not know what they hold.
  class Spare {
   public:
    /// Empty, with room for about so many bytes.
    Made take(size_t bytes);
    void give(Made made);
    /// Another plan begins: of what the last one needed no more is kept than a little. Returns the rest, which takes its time to free.
    std::vector<Made> lessen();
    /// How many bytes lie ready here.
    uint64_t bytes() const;

   private:
    mutable std::mutex mutex_;
    std::vector<Made> all_;
  };

  Plan(const std::shared_ptr<Mapping>& source, std::shared_ptr<Spare> spare) : source(source), spare(std::move(spare)) {}
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  virtual ~Plan() = default;

  void add(PlannedTensor tensor);

  /// All that may change at a tick. Parts have no byte in common.
  std::vector<Part> parts(uint32_t tick) const;
  /// Which share of the parts' weights is worked on, on average.
  virtual double share() const { return 1; }
  /// How many that are.
  double expected(uint32_t tick) const;

  /// The most weights of a part: where few of them are worked on, a part is to be worth beginning.
  virtual uint64_t grain() const { return kGrain; }
  /// How many bytes `make` makes of a part, roughly.
  virtual size_t made_bytes(const Part& part) const { return size_t(double(part.bytes()) * share()); }

  /// Does the work of a tick; returns how many codes changed, or, of weights that are drawn anew, differ.
  double run(Workers workers, uint8_t* live, const uint8_t* pristine, uint32_t tick) const;
  /// Does that of one part.
  virtual double write(const Target& target, uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick) const = 0;
  /// What `write` would write. Whatever it reads of `live` is the part's own.
  virtual void make(const Target& target, const uint8_t* live, const uint8_t* pristine, const Part& part, uint32_t tick, Made& made) const = 0;

  /// Bytes of what was made and is not written; `spare` has what more may be made in.
  uint64_t ready_bytes() const { return made; }

  /// The pristine file. It is not kept: plans wait for the garbage collector, long after a file is closed.
  const std::weak_ptr<Mapping> source;
  const std::shared_ptr<Spare> spare;
  mutable std::atomic<uint64_t> made{0};
  uint64_t end = 0;  // the first byte of the file after all tensors

 protected:
  /// The weights of a tensor that may change at a tick.
  virtual Span due(const PlannedTensor& tensor, uint32_t) const { return {0, tensor.weights}; }
  /// Those where every weight has its turn once in `stride` ticks: the counterpart of src/laws/visits.ts.
  static Span visited(const PlannedTensor& tensor, uint32_t tick, uint64_t stride);

 private:
  std::deque<PlannedTensor> tensors_;
};

/// The work of a tick, made in the background part by part. Whoever writes it takes what is made by then, and does the rest.
class Prepared {
 public:
  /// Bytes that are sooner written than a thread is asked to, and those of them that are written between two turns of the event loop: 2 MB took up to
  /// ten milliseconds.
  static constexpr uint64_t kBriefBytes = 2 << 20, kBytesATurn = 512 << 10;

  Prepared(std::shared_ptr<const Plan> plan, uint32_t tick);
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;
  ~Prepared();

  /// Makes all parts, of which none is written before `write` is called. Stops when it has been, or was dropped.
  void make(const Target& target, const uint8_t* live, const uint8_t* pristine);
  void drop();
  /// Weights that are still to be worked on, and bytes that are made, as of now.
  double weights_left() const { return left_; }
  uint64_t bytes_made() const { return made_bytes_; }
  /// Writes all, or what `write_some` has left; returns how many codes changed, or differ, in all.
  double write(Workers workers, uint8_t* live, const uint8_t* pristine);
  /// Writes parts until they have so many bytes. True when nothing is left for `write` but to say how many changed.
  bool write_some(const Target& target, uint8_t* live, const uint8_t* pristine, uint64_t bytes);

  const std::shared_ptr<const Plan> plan;

 private:
  enum State : int { kOpen, kMade, kTaken };
  struct Item {
    Plan::Made made;
    std::atomic<int> state{kOpen};
  };
  void give_back(Item& item);
  uint64_t write_part(size_t i, const Target& target, uint8_t* live, const uint8_t* pristine);

  const uint32_t tick_;
  const std::vector<Plan::Part> parts_;
  const std::unique_ptr<Item[]> items_;
  std::atomic<bool> stopped_{false};
  std::atomic<double> left_{0};
  std::atomic<uint64_t> made_bytes_{0};
  /// The next part that somebody is to write, each once whoever asks, and codes that changed in those that are written.
  std::atomic<size_t> next_{0};
  std::atomic<uint64_t> changed_{0};
};

}  // namespace brownian
