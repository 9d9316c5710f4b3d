// Between a block's bytes and its codes, by the planes of an encoded format; knows no format by name. The counterpart of
// src/laws/codes.ts. Plain loops over consecutive bytes, which compilers vectorize for each target.

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

/// The shape of a plane as constants, so that the loops over it become vectors: `run` bytes hold `fields` codes each.
template <int kBits, int kRun, int kShift>
struct Shape {
  static constexpr int bits = kBits, run = kRun, shift = kShift, fields = kRun == 1 ? 1 : 8 / kBits, mask = (1 << kBits) - 1;
};

/// Calls work with the plane's shape. A plane of a new shape is one line here.
template <class Work>
inline void with_shape(const Plane& p, Work work) {
  const auto is = [&](auto shape) { return p.bits == shape.bits && p.run == shape.run && p.shift == shape.shift && (work(shape), true); };
  is(Shape<8, 32, 0>()) || is(Shape<4, 8, 0>()) || is(Shape<4, 16, 0>()) || is(Shape<4, 32, 0>()) || is(Shape<4, 64, 0>()) ||
      is(Shape<2, 32, 0>()) || is(Shape<2, 32, 4>()) || is(Shape<1, 32, 2>()) || is(Shape<1, 32, 4>()) || is(Shape<1, 1, 4>());
}

/// Calls use(byte, code) for every stretch of bytes whose codes are consecutive.
template <class Use>
inline void each_stretch(const int32_t* format, const Plane& p, size_t blocks, Use use) {
  const int weights = format[kWeights], bytes = format[kBytes];
  for (size_t block = 0; block < blocks; block++) {
    size_t byte = block * bytes + p.offset;
    for (int code = 0; code < weights; code += p.group, byte += p.stride) use(byte, block * weights + code);
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

/// Words side by side; compilers make what the target has of them.
template <int kBytes>
struct Wide {
#if defined(__GNUC__)
  typedef uint64_t Vector __attribute__((vector_size(kBytes)));
#else
  struct Vector {
    uint64_t w[kBytes / 8];
    Vector operator>>(int n) const { return each([n](uint64_t x, uint64_t) { return x >> n; }, *this); }
    Vector operator<<(int n) const { return each([n](uint64_t x, uint64_t) { return x << n; }, *this); }
    Vector operator&(uint64_t m) const { return each([m](uint64_t x, uint64_t) { return x & m; }, *this); }
    Vector operator|(const Vector& b) const { return each([](uint64_t x, uint64_t y) { return x | y; }, b); }
    template <class Of> Vector each(Of of, const Vector& b) const {
      Vector r;
      for (int i = 0; i < kBytes / 8; i++) r.w[i] = of(w[i], b.w[i]);
      return r;
    }
  };
#endif
  Vector v;
  static Wide at(const uint8_t* p) {
    Wide r;
    memcpy(&r.v, p, kBytes);
    return r;
  }
  void put(uint8_t* p) const { memcpy(p, &v, kBytes); }
};

inline int trailing_zeros(uint64_t x) {
#if defined(__GNUC__)
  return __builtin_ctzll(x);
#else
  int n = 0;
  for (; (x & 1) == 0; x >>= 1) n++;
  return n;
#endif
}

inline int count_bits(uint64_t x) {
#if defined(__GNUC__)
  return __builtin_popcountll(x);
#else
  int n = 0;
  for (; x != 0; x &= x - 1) n++;
  return n;
#endif
}

/// Which of 64 bytes are not 0.
inline uint64_t set_bits(const uint8_t* bytes) {
  uint64_t set = 0;
  for (size_t i = 0; i < 64; i += B_LANES) set |= uint64_t(nonzero_b(load_b(bytes + i))) << i;
  return set;
}

/// Every byte of a word.
constexpr uint64_t bytes_of(int x) { return uint64_t(x) * 0x0101010101010101ull; }

/// The codes of one stretch.
template <class S>
inline void unpack_stretch(uint8_t* to, const uint8_t* from) {
  if constexpr (S::run == 1) {
    uint64_t word;
    memcpy(&word, to, 8);
    word |= spread_bits(*from) << S::shift;
    memcpy(to, &word, 8);
  } else {
    using W = Wide<(S::run < 32 ? S::run : 32)>;
    for (int i = 0; i < S::run; i += int(sizeof(W))) {
      const W packed = W::at(from + i);
#pragma GCC unroll 8
      for (int f = 0; f < S::fields; f++) {
        uint8_t* const codes = to + f * S::run + i;
        W field = {((packed.v >> (S::bits * f)) & bytes_of(S::mask)) << S::shift};
        if constexpr (S::shift != 0) field.v = field.v | W::at(codes).v;
        field.put(codes);
      }
    }
  }
}

template <class S>
inline void pack_stretch(uint8_t* to, const uint8_t* from) {
  if constexpr (S::run == 1) {
    uint64_t word;
    memcpy(&word, from, 8);
    *to = gather_bits((word >> S::shift) & bytes_of(1));
  } else {
    using W = Wide<(S::run < 32 ? S::run : 32)>;
    for (int i = 0; i < S::run; i += int(sizeof(W))) {
      W packed = {(W::at(from + i).v >> S::shift) & bytes_of(S::mask)};
#pragma GCC unroll 8
      for (int f = 1; f < S::fields; f++) {
        packed.v = packed.v | (((W::at(from + f * S::run + i).v >> S::shift) & bytes_of(S::mask)) << (S::bits * f));
      }
      packed.put(to + i);
    }
  }
}

/// The codes as they are stored, before the bias.
inline void unpack(uint8_t* codes, const uint8_t* data, size_t blocks, const int32_t* format) {
  if (bare_bytes(format)) {
    memcpy(codes, data, blocks);
    return;
  }
  for (int which = 0; which < format[kPlanes]; which++) {
    const Plane p(format, which);
    with_shape(p, [&](auto shape) {
      each_stretch(format, p, blocks, [&](size_t byte, size_t code) { unpack_stretch<decltype(shape)>(codes + code, data + byte); });
    });
  }
}

/// Writes the codes back; every byte that holds no codes stays as it is.
inline void pack(const uint8_t* codes, uint8_t* data, size_t blocks, const int32_t* format) {
  if (bare_bytes(format)) {
    memcpy(data, codes, blocks);
    return;
  }
  for (int which = 0; which < format[kPlanes]; which++) {
    const Plane p(format, which);
    with_shape(p, [&](auto shape) {
      each_stretch(format, p, blocks, [&](size_t byte, size_t code) { pack_stretch<decltype(shape)>(data + byte, codes + code); });
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
