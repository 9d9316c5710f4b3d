// Between a block's bytes and its codes, by the planes of an encoded format; knows no format by name. The counterpart of
// src/kernels/js/codes.ts. Plain loops over consecutive bytes, which compilers vectorize for each target.

/// Calls use(byte, bit, code) for every run of codes that lie in consecutive bytes at one bit position.
template <class Use>
inline void each_run(const int32_t* format, int plane, size_t blocks, Use use) {
  const int32_t* f = format + plane * kPlaneFields;
  const int weights = format[kWeights], bytes = format[kBytes];
  for (size_t block = 0; block < blocks; block++) {
    for (int g = 0; g < weights; g += f[kPlaneGroup]) {
      const size_t byte = block * bytes + f[kPlaneOffset] + size_t(g / f[kPlaneGroup]) * f[kPlaneStride];
      for (int r = 0, bit = 0; r < f[kPlaneGroup]; r += f[kPlaneRun], bit += f[kPlaneBits]) use(byte, bit, block * weights + g + r);
    }
  }
}

/// Blocks of one byte that is one code: no need to go block by block.
inline bool bare_bytes(const int32_t* format) { return format[kWeights] == 1 && format[kBytes] == 1; }

inline void unpack(int8_t* codes, const uint8_t* data, size_t blocks, const int32_t* format) {
  for (int plane = 0; plane < format[kPlanes]; plane++) {
    const int32_t* f = format + plane * kPlaneFields;
    const int run = f[kPlaneRun], shift = f[kPlaneShift], mask = (1 << f[kPlaneBits]) - 1;
    if (bare_bytes(format)) {
      memcpy(codes, data, blocks);
    } else if (plane == 0 && mask == 255) {
      each_run(format, plane, blocks, [&](size_t byte, int, size_t code) { memcpy(codes + code, data + byte, run); });
    } else if (plane == 0 && mask == 15) {
      each_run(format, plane, blocks, [&](size_t byte, int bit, size_t code) {
        if (bit == 0) for (int r = 0; r < run; r++) codes[code + r] = data[byte + r] & 15;
        else for (int r = 0; r < run; r++) codes[code + r] = data[byte + r] >> 4;
      });
    } else {
      each_run(format, plane, blocks, [&](size_t byte, int bit, size_t code) {
        for (int r = 0; r < run; r++) {
          const int8_t field = int8_t(((data[byte + r] >> bit) & mask) << shift);
          codes[code + r] = plane == 0 ? field : codes[code + r] | field;
        }
      });
    }
  }
  const int8_t bias = int8_t(format[kBias]);
  if (bias != 0) for (size_t i = 0, n = blocks * format[kWeights]; i < n; i++) codes[i] = int8_t(codes[i] - bias);
}

inline void pack(const int8_t* codes, uint8_t* data, size_t blocks, const int32_t* format) {
  const int bias = format[kBias];
  for (int plane = 0; plane < format[kPlanes]; plane++) {
    const int32_t* f = format + plane * kPlaneFields;
    const int run = f[kPlaneRun], shift = f[kPlaneShift], mask = (1 << f[kPlaneBits]) - 1;
    if (bare_bytes(format)) {
      memcpy(data, codes, blocks);
    } else if (mask == 255) {
      each_run(format, plane, blocks, [&](size_t byte, int, size_t code) { memcpy(data + byte, codes + code, run); });
    } else if (mask == 15 && shift == 0) {
      const uint8_t add = uint8_t(bias);
      each_run(format, plane, blocks, [&](size_t byte, int bit, size_t code) {
        uint8_t* to = data + byte;
        const int8_t* from = codes + code;
        if (bit == 0) for (int r = 0; r < run; r++) to[r] = uint8_t((to[r] & 0xf0) | (uint8_t(from[r] + add) & 15));
        else for (int r = 0; r < run; r++) to[r] = uint8_t((to[r] & 0x0f) | uint8_t(uint8_t(from[r] + add) << 4));
      });
    } else {
      each_run(format, plane, blocks, [&](size_t byte, int bit, size_t code) {
        for (int r = 0; r < run; r++) {
          const int field = ((codes[code + r] + bias) >> shift) & mask;
          data[byte + r] = uint8_t((data[byte + r] & ~(mask << bit)) | (field << bit));
        }
      });
    }
  }
}

inline uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

inline float bits_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

inline float half_to_float(uint16_t h) {
  const uint32_t sign = uint32_t(h & 0x8000) << 16;
  const uint32_t magnitude = h & 0x7fff;
  if (magnitude < 0x0400) return bits_float(float_bits(float(magnitude) * 5.9604644775390625e-8f) | sign);
  if (magnitude >= 0x7c00) return bits_float(sign | 0x7f800000u | ((magnitude & 0x3ff) << 13));
  return bits_float(sign | ((magnitude << 13) + (112u << 23)));
}

inline float read_half(const uint8_t* at) { return half_to_float(uint16_t(at[0] | (at[1] << 8))); }

/// A weight is step * level + origin.
struct Group {
  float step, origin;
};

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
    case kStepE8m0: return {bits_float(*d < 2 ? 0x00200000u << *d : uint32_t(*d - 1) << 23), 0.0f};
    default: {  // kStepUe4m3
      const int x = d[g] & 0x7f, exponent = x >> 3;
      if (x == 0x7f) return {0.0f, 0.0f};
      const float size = exponent == 0 ? float(x & 7) * 0.001953125f : bits_float(uint32_t(exponent + 120) << 23) * (1.0f + float(x & 7) * 0.125f);
      return {size * 0.5f, 0.0f};
    }
  }
}

/// The step that codes move on, a magnitude; zero where they have none.
inline float step_size(float step) {
  const float size = std::fabs(step);
  return size < INFINITY ? size : 0.0f;
}
