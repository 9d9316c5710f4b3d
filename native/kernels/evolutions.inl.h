// The evolutions that a target has, by the names that src/laws/ gives them. To add one: its header, and its line here.
#pragma once
#include "ascent.inl.h"
#include "format.h"
#include "mirror.inl.h"
#include "relaxation.inl.h"

namespace brownian::BROWNIAN_TARGET {

constexpr Evolution kEvolutions[] = {
    {"ascend", ascend_takes, ascend},
    {"mirror", mirror_takes, mirror},
    {"relax", relax_takes, relax},
};

}  // namespace brownian::BROWNIAN_TARGET
