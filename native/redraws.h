// Tensors that are drawn again in one call, as JavaScript tells them.
#pragma once
#include <memory>
#include <vector>

#include "arguments.h"
#include "mapped_file.h"
#include "ranges.h"
#include "step_index.h"

namespace brownian {

/// Bytes of a file, and the argument that says how many.
struct FileRange {
  Given given;
  uint64_t offset, length;
};

/// Throws where they lie beyond the file's end.
FileRange range_of(const Given& offset, const Given& length, const Mapping& file);

/// Whole spans of tensors, each with its index, which is taken as long as this is there. Made and destroyed on the thread of JavaScript.
class Redraws {
 public:
  Redraws(std::shared_ptr<Mapping> live, std::shared_ptr<Mapping> source) : live(std::move(live)), source(std::move(source)) {}
  Redraws(const Redraws&) = delete;
  Redraws& operator=(const Redraws&) = delete;
  ~Redraws();

  /// { offset, length, index, move }. Throws where that is no such thing, or its index is in use.
  void add(const Given& tensor);
  const std::vector<Redrawn>& ranges() const { return ranges_; }

  const std::shared_ptr<Mapping> live, source;

 private:
  std::vector<std::unique_ptr<OwnedMove>> moves_;
  std::vector<std::shared_ptr<StepIndex>> taken_;
  std::vector<Redrawn> ranges_;
};

}  // namespace brownian
