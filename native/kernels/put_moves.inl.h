// Puts the moves of a tile on its codes, with the symmetric truncation at the rails: straight on the bytes where that can be, or by unpacking them.
#pragma once
#include <cstddef>
#include <cstdint>

#include "codes.inl.h"
#include "format.h"

namespace brownian::BROWNIAN_TARGET {

/// The rails of codes as they are stored, put so that they and the codes compare unsigned.
struct Rails {
  uint8_t lo, hi, flip;

  explicit Rails(const int32_t* format) : flip(format[kPlaneBits] == 8 ? 0x80 : 0) {
    lo = uint8_t(format[kLo] + format[kBias]) ^ flip;
    hi = uint8_t(format[kHi] + format[kBias]) ^ flip;
  }
};

/// Moves codes by k, |k| at most the distance to the nearer rail, and counts how many changed.
class Mover {
 public:
  explicit Mover(const Rails& rails) : lo_(set1_b(rails.lo)), hi_(set1_b(rails.hi)), flip_(set1_b(rails.flip)), zero_(set1_b(0)), rails_(rails) {}

  B operator()(B code, B k) {
    const B at = xor_b(code, flip_);
    const B reach = min_b(sub_floor_b(at, lo_), sub_floor_b(hi_, at));
    const B d = min_signed_b(max_signed_b(k, sub_b(zero_, reach)), reach);
    changed += count_nonzero_b(d);
    return add_b(code, d);
  }

  uint8_t operator()(uint8_t code, int8_t k) {
    const int at = code ^ rails_.flip, low = at - rails_.lo, high = rails_.hi - at;
    const int nearer = low < high ? low : high, reach = nearer > 0 ? nearer : 0;
    const int d = k < -reach ? -reach : k > reach ? reach : k;
    changed += d != 0;
    return uint8_t(code + d);
  }

  size_t changed = 0;

 private:
  const B lo_, hi_, flip_, zero_;
  const Rails rails_;
};

/// codes[0, n) += k; returns how many changed.
inline size_t apply_moves(uint8_t* codes, const int8_t* k, size_t n, const Rails& rails) {
  Mover mover(rails);
  size_t i = 0;
  for (; i + B_LANES <= n; i += B_LANES) store_b(codes + i, mover(load_b(codes + i), load_b(reinterpret_cast<const uint8_t*>(k) + i)));
#if BROWNIAN_VECTORS
  for (; i < n; i++) codes[i] = mover(codes[i], k[i]);
#endif
  return mover.changed;
}

/// The same for runs of 32 codes that lie `stride` apart.
inline size_t apply_moves_32(uint8_t* codes, size_t stride, const int8_t* k, size_t runs, const Rails& rails) {
  Mover mover(rails);
  const uint8_t* from = reinterpret_cast<const uint8_t*>(k);
  size_t run = 0;
#if BROWNIAN_VECTORS
  if constexpr (B_LANES == 64) {
    for (; run + 2 <= runs; run += 2, codes += 2 * stride, from += 64)
      store_strided_32(codes, stride, mover(load_strided<32>(codes, stride), load_b(from)));
    if (run < runs) return mover.changed + apply_moves(codes, reinterpret_cast<const int8_t*>(from), 32, rails);
  }
#endif
  for (; run < runs; run++, codes += stride, from += 32) {
    for (int i = 0; i < 32; i += B_LANES) store_b(codes + i, mover(load_b(codes + i), load_b(from + i)));
  }
  return mover.changed;
}

#if BROWNIAN_VECTORS
/// The same for runs of kRun bytes that lie `stride` apart, each with a code in its lower halves and, kRun codes later, one in its upper.
template <int kRun>
inline size_t apply_moves_nibbles(uint8_t* bytes, size_t stride, const int8_t* moves, size_t byte_runs, const Rails& rails) {
  Mover mover(rails);
  const uint8_t* k = reinterpret_cast<const uint8_t*>(moves);
  const B nibble = set1_b(15);
  if constexpr (kRun == B_LANES) {
    for (; byte_runs > 0; byte_runs--, bytes += stride, k += 2 * kRun) {
      const B both = load_b(bytes);
      const B low = mover(and_b(both, nibble), load_b(k)), high = mover(and_b(shr4_b(both), nibble), load_b(k + kRun));
      store_b(bytes, or_b(low, shl4_b(high)));
    }
  } else if constexpr (kRun < B_LANES) {
    constexpr size_t kAtOnce = B_LANES / (2 * kRun);
    for (; byte_runs >= kAtOnce; byte_runs -= kAtOnce, bytes += kAtOnce * stride, k += B_LANES) {
      store_nibbles<kRun>(bytes, stride, mover(and_b(load_nibbles<kRun>(bytes, stride), nibble), load_b(k)));
    }
    for (; byte_runs > 0; byte_runs--, bytes += stride, k += 2 * kRun) {
      for (int i = 0; i < kRun; i++) {
        const uint8_t low = mover(uint8_t(bytes[i] & 15), int8_t(k[i])), high = mover(uint8_t(bytes[i] >> 4), int8_t(k[i + kRun]));
        bytes[i] = uint8_t(low | high << 4);
      }
    }
  } else {
    static_assert(kRun == 2 * B_LANES, "two vectors");
    for (; byte_runs > 0; byte_runs--, bytes += stride, k += 2 * kRun) {
      for (int i = 0; i < kRun; i += B_LANES) {
        const B both = load_b(bytes + i);
        const B low = mover(and_b(both, nibble), load_b(k + i)), high = mover(and_b(shr4_b(both), nibble), load_b(k + kRun + i));
        store_b(bytes + i, or_b(low, shl4_b(high)));
      }
    }
  }
  return mover.changed;
}
#endif

/// A tile of blocks, moved by the moves in k.
inline size_t put_moves(uint8_t* data, size_t blocks, size_t n, const int8_t* k, const int32_t* format) {
  if (bare_bytes(format)) return apply_moves(data, k, n, Rails(format));
  if (format[kPlaneBits] == 8 && format[kPlaneRun] == 32 && format[kWeights] == 32) {
    return apply_moves_32(data + format[kPlaneOffset], size_t(format[kBytes]), k, blocks, Rails(format));
  }
#if BROWNIAN_VECTORS
  if (format[kPlanes] == 1 && format[kPlaneBits] == 4 && format[kPlaneShift] == 0) {
    const int run = format[kPlaneRun];
    uint8_t* const first = data + format[kPlaneOffset];
    const size_t bytes = size_t(format[kBytes]), stride = size_t(format[kPlaneStride]), byte_runs = size_t(format[kWeights] / format[kPlaneGroup]);
    if (run == 16 && format[kPlaneGroup] == 32 && byte_runs == 1) return apply_moves_nibbles<16>(first, bytes, k, blocks, Rails(format));
    if (run == 32 && format[kPlaneGroup] == 64) {
      size_t changed = 0;
      for (size_t block = 0; block < blocks; block++) {
        changed += apply_moves_nibbles<32>(first + block * bytes, stride, k + block * size_t(format[kWeights]), byte_runs, Rails(format));
      }
      return changed;
    }
  }
#endif
  alignas(64) uint8_t codes[kTile];
  unpack(codes, data, blocks, format);
  const size_t changed = apply_moves(codes, k, n, Rails(format));
  if (changed > 0) pack(codes, data, blocks, format);
  return changed;
}

}  // namespace brownian::BROWNIAN_TARGET
