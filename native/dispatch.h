// Which instruction sets were compiled in, and which of them this machine and its operating system can run.
#pragma once
#include <vector>

#include "kernels/format.h"

namespace brownian {

struct Candidate {
  const char* name;
  const Target* target;  // null where it cannot run
  const char* reason;    // why not
};

/// Best first; the last one always runs.
const std::vector<Candidate>& candidates();

}  // namespace brownian
