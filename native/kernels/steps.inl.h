// The steps of a block's groups of codes, by the step kind of an encoded format: formulas and order of operations of ggml. The counterpart of
// readGroup in src/laws/codes.ts. A new step kind is a case here and a line in native/formats.cc.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "float_bits.inl.h"
#include "format.h"

namespace brownian::BROWNIAN_TARGET {

/// Exact, and without branches, so that loops over it become vectors: shifted into place, a half is 2^112 too small.
inline float half_to_float(uint16_t h) {
  const uint32_t magnitude = uint32_t(h & 0x7fff) << 13;
  const uint32_t finite = float_bits(bits_float(magnitude) * 5192296858534827628530496329220096.0f);
  const uint32_t bits = magnitude < (0x7c00u << 13) ? finite : magnitude | 0x7f800000u;
  return bits_float(bits | (uint32_t(h & 0x8000) << 16));
}

inline float read_half(const uint8_t* at) { return half_to_float(uint16_t(at[0] | (at[1] << 8))); }

/// A weight is step * level + origin.
struct Group {
  float step, origin;
};

/// A power of two, halved.
inline float e8m0(uint8_t x) { return bits_float(x < 2 ? 0x00200000u << x : uint32_t(x - 1) << 23); }

/// Four bits of exponent and three of mantissa, halved; the upper bit means nothing.
inline float ue4m3(uint8_t code) {
  const uint32_t x = code & 0x7f;
  const float normal = bits_float((x + (120 << 3)) << 20), size = x < 8 ? float(int32_t(x)) * 0.001953125f : normal;
  return x == 0x7f ? 0.0f : size * 0.5f;
}

/// Step and origin of group `g` of the block at `block`: formulas and order of operations of ggml's dequantize_row_*.
inline Group read_group(const uint8_t* block, int g, const int32_t* format) {
  const uint8_t* d = block + format[kStepOffset];
  const uint8_t* scales = block + format[kScalesOffset];
  switch (format[kStep]) {
    case kStepF16: return {read_half(d), 0.0f};
    case kStepF16Origin: return {read_half(d), read_half(d + 2)};
    case kStepK2: return {read_half(d) * float(scales[g] & 15), -(read_half(d + 2) * float(scales[g] >> 4))};
    case kStepK3: {
      const int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4;
      const int high = (scales[8 + (g & 3)] >> (2 * (g >> 2))) & 3;
      return {read_half(d) * float((low | (high << 4)) - 32), 0.0f};
    }
    case kStepK4: {
      const int scale = g < 4 ? scales[g] & 63 : (scales[g + 4] & 15) | ((scales[g - 4] >> 6) << 4);
      const int min = g < 4 ? scales[g + 4] & 63 : (scales[g + 4] >> 4) | ((scales[g] >> 6) << 4);
      return {read_half(d) * float(scale), -(read_half(d + 2) * float(min))};
    }
    case kStepK6: return {read_half(d) * float(int8_t(scales[g])), 0.0f};
    case kStepIq4: {
      const int low = (scales[g >> 1] >> (4 * (g & 1))) & 15;
      const int high = ((d[2] | (d[3] << 8)) >> (2 * g)) & 3;
      return {read_half(d) * float((low | (high << 4)) - 32), 0.0f};
    }
    case kStepE8m0: return {e8m0(*d), 0.0f};
    default: return {ue4m3(d[g]), 0.0f};
  }
}

/// The step that codes move on, a magnitude; zero where they have none.
inline float step_size(float step) {
  const float size = std::fabs(step);
  return size < INFINITY ? size : 0.0f;
}

/// Calls use(start, length, group) for every group of codes of `blocks` blocks.
template <class Use>
inline void each_group(const uint8_t* data, size_t blocks, const int32_t* format, Use use) {
  const size_t weights = format[kWeights], bytes = format[kBytes], length = format[kGroup];
  for (size_t block = 0; block < blocks; block++) {
    int g = 0;
    for (size_t start = 0; start < weights; start += length, g++) {
      use(block * weights + start, length, read_group(data + block * bytes, g, format));
    }
  }
}

/// Reads the steps of all groups of at most kSumCut weights in `blocks` blocks; returns how many.
inline size_t read_steps(float* steps, const uint8_t* data, size_t blocks, const int32_t* format) {
  const size_t bytes = format[kBytes], groups = format[kWeights] / format[kGroup];
  const uint8_t* d = data + format[kStepOffset];
  const uint8_t* scales = data + format[kScalesOffset];
  size_t n = 0;
  switch (format[kStep]) {
    case kStepF16:
    case kStepF16Origin: {
      uint16_t halves[kSumCut / 16];
#pragma GCC unroll 8
      for (size_t block = 0; block < blocks; block++) memcpy(halves + block, d + block * bytes, 2);
      for (; n < blocks; n++) steps[n] = half_to_float(halves[n]);
      break;
    }
    case kStepK4:
      for (size_t block = 0; block < blocks; block++, n += 8, d += bytes, scales += bytes) {
        const float unit = read_half(d);
        for (int g = 0; g < 4; g++) {
          steps[n + g] = unit * float(scales[g] & 63);
          steps[n + g + 4] = unit * float((scales[g + 8] & 15) | ((scales[g] >> 6) << 4));
        }
      }
      break;
    case kStepK6:
      for (size_t block = 0; block < blocks; block++, n += 16, d += bytes, scales += bytes) {
        const float unit = read_half(d);
        for (int g = 0; g < 16; g++) steps[n + g] = unit * float(int8_t(scales[g]));
      }
      break;
    case kStepIq4:
      for (size_t block = 0; block < blocks; block++, n += 8, d += bytes, scales += bytes) {
        const float unit = read_half(d);
        const int high = d[2] | (d[3] << 8);
        for (int g = 0; g < 8; g++) {
          const int low = (scales[g >> 1] >> (4 * (g & 1))) & 15;
          steps[n + g] = unit * float((low | (((high >> (2 * g)) & 3) << 4)) - 32);
        }
      }
      break;
    case kStepE8m0:
      for (size_t block = 0; block < blocks; block++, d += bytes) steps[n++] = e8m0(*d);
      break;
    case kStepUe4m3: {
      uint8_t codes[kSumCut / 16];
      for (size_t block = 0; block < blocks; block++) memcpy(codes + 4 * block, d + block * bytes, 4);
      for (; n < 4 * blocks; n++) steps[n] = ue4m3(codes[n]);
      break;
    }
    default:
      for (size_t block = 0; block < blocks; block++) {
        for (size_t g = 0; g < groups; g++) steps[n++] = read_group(data + block * bytes, int(g), format).step;
      }
  }
  return n;
}

}  // namespace brownian::BROWNIAN_TARGET
