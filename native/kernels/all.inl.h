// Every kernel, in order of dependence. A target includes this inside its own namespace, after defining its vectors:
// N lanes of U and F (32 bits), B_LANES lanes of B (8 bits), and the operations on them.
// BROWNIAN_VECTORS is 0 where there is but one lane.
inline size_t perturb_columns(uint8_t* data, size_t bytes, const Move& move);
inline size_t relax_columns(uint8_t* live, const uint8_t* pristine, size_t bytes, const Move& move, const float* decay);
#include "noise.inl.h"
#include "codes.inl.h"
#include "laws.inl.h"
#include "code_at.inl.h"
#include "rare_groups.inl.h"
#include "rare_rows.inl.h"
#include "lattice.inl.h"
#include "levels.inl.h"
#include "floats.inl.h"
#include "perturb.inl.h"
#include "langevin.inl.h"
#include "columns.inl.h"
#include "indexed.inl.h"
#include "difference.inl.h"
#include "sums.inl.h"
