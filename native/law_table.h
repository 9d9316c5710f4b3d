// The one table of the laws in a process: set once, by the first who loads the addon, and only read from then on.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/format.h"

namespace brownian {

/// How many numbers the tables of src/laws/tables.ts and alias.ts are.
constexpr size_t kTails = size_t(kLawRows) * kLawColumns, kHits = size_t(kHitsClasses) * kHitsMost, kAlias = size_t(kAliasStill + 1) * kAliasRow;

/// Sets it, unless it is set.
void set_law(const float* tails, const uint32_t* hits, const int8_t* alias);

/// Null before it is set.
const LawTable* law_table();

}  // namespace brownian
