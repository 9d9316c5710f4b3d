// The kernels for x86-64 with AVX-512: compiled with -mavx512*.
#include "avx512.h"

#include "../kernels/all.inl.h"

const brownian::Target brownian::kAvx512Target = brownian::avx512::target("avx512");
