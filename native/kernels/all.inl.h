// Every kernel, in order of dependence. A target includes this inside its own namespace, after defining its vectors:
// N lanes of U and F (32 bits), H_LANES lanes of H (16 bits), and the operations on them.
#include "noise.inl.h"
#include "codes.inl.h"
#include "moves.inl.h"
#include "sums.inl.h"
