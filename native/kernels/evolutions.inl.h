// The evolutions that a target has, by the names that src/laws/ gives them. To add one: its header, and its line here.
#pragma once
#include "format.h"
#include "relaxation.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr Evolution kEvolutions[] = {
    {"relax", relax_takes, relax},
};

}  // namespace brownian::BROWNIAN_TARGET
