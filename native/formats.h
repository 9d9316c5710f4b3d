// Whether an encoded format is one that kernels can work on: they trust its numbers, which say where they read and write.
#pragma once
#include "kernels/format.h"

namespace brownian {

/// What is wrong with these kFormatFields numbers; null where nothing is.
const char* wrong_with(const int32_t* format);

}  // namespace brownian
