// The kernels for AArch64.
#include "neon.h"

#include "../kernels/all.inl.h"

const brownian::Target brownian::kNeonTarget = brownian::neon::target("neon");
