// The kernels for any machine.
#include "scalar.h"

#include "../kernels/all.inl.h"

const brownian::Target brownian::kScalarTarget = brownian::scalar::target("scalar");
