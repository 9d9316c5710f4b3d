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

/// The step of group `block`, a magnitude; zero where codes have none to move on.
inline float read_step(const uint8_t* data, size_t block, const int32_t* format) {
  const uint8_t* at = data + block * format[kBytes] + format[kStepOffset];
  const float step = half_to_float(uint16_t((at[0] | (at[1] << 8)) & 0x7fff));
  return step < INFINITY ? step : 0.0f;
}
