// The kernels for x86-64 with AVX2: compiled with -mavx2.
#include "avx2.h"

#include "../kernels/all.inl.h"

const brownian::Target brownian::kAvx2Target = brownian::avx2::target("avx2");
