// Between a block's bytes and its codes, by the planes of an encoded format; knows no format by name. The counterpart of
// src/kernels/js/codes.ts. Plain loops over consecutive bytes, which compilers vectorize for each target.

/// One plane of a format, with the numbers that its loops run over.
struct Plane {
  int offset, bits, shift, group, stride, run, mask;

  Plane(const int32_t* format, int which) {
    const int32_t* f = format + which * kPlaneFields;
    offset = f[kPlaneOffset];
    bits = f[kPlaneBits];
    shift = f[kPlaneShift];
    group = f[kPlaneGroup];
    stride = f[kPlaneStride];
    run = f[kPlaneRun];
    mask = (1 << bits) - 1;
  }
};

/// Calls use(byte, bit, code) for every run of codes that lie in consecutive bytes at one bit position.
template <class Use>
inline void each_run(const int32_t* format, const Plane& p, size_t blocks, Use use) {
  const int weights = format[kWeights], bytes = format[kBytes];
  for (size_t block = 0; block < blocks; block++) {
    const size_t base = block * bytes + p.offset;
    for (int g = 0, segment = 0; g < weights; g += p.group, segment += p.stride) {
      for (int r = 0, bit = 0; r < p.group; r += p.run, bit += p.bits) use(base + segment, bit, block * weights + g + r);
    }
  }
}

/// Calls work with the run as a constant, so that the loops over it become vectors.
template <class Work>
inline void with_run(int run, Work work) {
  switch (run) {
    case 8: work(std::integral_constant<int, 8>()); break;
    case 16: work(std::integral_constant<int, 16>()); break;
    case 32: work(std::integral_constant<int, 32>()); break;
    case 64: work(std::integral_constant<int, 64>()); break;
  }
}

/// Blocks of one byte that is one code: no need to go block by block.
inline bool bare_bytes(const int32_t* format) { return format[kWeights] == 1 && format[kBytes] == 1; }

/// Bit e of a byte to byte e of a word, and back.
inline uint64_t spread_bits(uint8_t bits) {
  const uint64_t each = (bits * 0x0101010101010101ull) & 0x8040201008040201ull;
  return ((each + 0x7f7f7f7f7f7f7f7full) >> 7) & 0x0101010101010101ull;
}
inline uint8_t gather_bits(uint64_t ones) { return uint8_t((ones * 0x0102040810204080ull) >> 56); }

inline void unpack(int8_t* codes, const uint8_t* data, size_t blocks, const int32_t* format) {
  if (bare_bytes(format)) {
    memcpy(codes, data, blocks);
    return;
  }
  for (int which = 0; which < format[kPlanes]; which++) {
    const Plane p(format, which);
    if (p.run == 1) {
      each_run(format, p, blocks, [&](size_t byte, int bit, size_t code) {
        if (bit != 0) return;
        uint64_t eight;
        memcpy(&eight, codes + code, 8);
        eight |= spread_bits(data[byte]) << p.shift;
        memcpy(codes + code, &eight, 8);
      });
      continue;
    }
    with_run(p.run, [&](auto run) {
      each_run(format, p, blocks, [&](size_t byte, int bit, size_t code) {
        const uint8_t* from = data + byte;
        int8_t* to = codes + code;
        if (which > 0) for (int r = 0; r < run; r++) to[r] = int8_t(to[r] | (((from[r] >> bit) & p.mask) << p.shift));
        else if (p.bits == 8) memcpy(to, from, run);
        else if (p.bits == 4 && bit == 0) for (int r = 0; r < run; r++) to[r] = int8_t(from[r] & 15);
        else if (p.bits == 4) for (int r = 0; r < run; r++) to[r] = int8_t(from[r] >> 4);
        else for (int r = 0; r < run; r++) to[r] = int8_t((from[r] >> bit) & p.mask);
      });
    });
  }
  const int8_t bias = int8_t(format[kBias]);
  if (bias != 0) for (size_t i = 0, n = blocks * format[kWeights]; i < n; i++) codes[i] = int8_t(codes[i] - bias);
}

/// Writes the codes back; every bit that is not a code stays as it is.
inline void pack(const int8_t* codes, uint8_t* data, size_t blocks, const int32_t* format) {
  if (bare_bytes(format)) {
    memcpy(data, codes, blocks);
    return;
  }
  const uint8_t bias = uint8_t(format[kBias]);
  for (int which = 0; which < format[kPlanes]; which++) {
    const Plane p(format, which);
    if (p.run == 1) {
      each_run(format, p, blocks, [&](size_t byte, int bit, size_t code) {
        if (bit != 0) return;
        uint64_t eight = 0;
        for (int r = 0; r < 8; r++) eight |= uint64_t((uint8_t(codes[code + r] + bias) >> p.shift) & 1) << (8 * r);
        data[byte] = gather_bits(eight);
      });
      continue;
    }
    with_run(p.run, [&](auto run) {
      each_run(format, p, blocks, [&](size_t byte, int bit, size_t code) {
        uint8_t* to = data + byte;
        const int8_t* from = codes + code;
        const uint8_t keep = uint8_t(~(p.mask << bit)), mask = uint8_t(p.mask);
        if (p.bits == 8) memcpy(to, from, run);
        else if (p.bits == 4 && p.shift == 0 && bit == 0) for (int r = 0; r < run; r++) to[r] = uint8_t((to[r] & 0xf0) | (uint8_t(from[r] + bias) & 15));
        else if (p.bits == 4 && p.shift == 0) for (int r = 0; r < run; r++) to[r] = uint8_t((to[r] & 0x0f) | uint8_t(uint8_t(from[r] + bias) << 4));
        else for (int r = 0; r < run; r++) to[r] = uint8_t((to[r] & keep) | (((uint8_t(from[r] + bias) >> p.shift) & mask) << bit));
      });
    });
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
