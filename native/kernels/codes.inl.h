// Between a block's bytes and its codes, by the planes of an encoded format; knows no format by name. The counterpart of
// src/laws/codes.ts. Plain loops over consecutive bytes, which compilers vectorize for each target.
#pragma once
#include <cstdint>
#include <cstring>

#include "format.h"

namespace brownian::BROWNIAN_TARGET {

/// One plane of a format, with the numbers that its loops run over.
struct Plane {
  int offset, bits, shift, group, stride, run, mask;
  bool first;

  Plane(const int32_t* format, int which) {
    const int32_t* f = format + which * kPlaneFields;
    offset = f[kPlaneOffset];
    bits = f[kPlaneBits];
    shift = f[kPlaneShift];
    group = f[kPlaneGroup];
    stride = f[kPlaneStride];
    run = f[kPlaneRun];
    mask = (1 << bits) - 1;
    first = which == 0;
  }
};

/// The shape of a plane as constants, so that the loops over it become vectors: `run` bytes hold `fields` codes each. `first`: of the first
/// plane, which makes codes that another may add to.
template <int kBits, int kRun, int kShift>
struct Shape {
  static constexpr int bits = kBits, run = kRun, shift = kShift, fields = 8 / kBits, mask = (1 << kBits) - 1;
  static constexpr bool first = kShift == 0;
};

/// Calls work with the plane's shape, or with the plane itself where it has none of these: then the same is done byte by byte. A shape that is
/// to be fast is one line here.
template <class Work>
inline void with_shape(const Plane& p, Work work) {
  const auto is = [&](auto shape) {
    const bool same =
        p.bits == shape.bits && p.run == shape.run && p.shift == shape.shift && p.group == shape.run * shape.fields && p.first == shape.first;
    return same && (work(shape), true);
  };
  is(Shape<8, 32, 0>()) || is(Shape<4, 8, 0>()) || is(Shape<4, 16, 0>()) || is(Shape<4, 32, 0>()) || is(Shape<4, 64, 0>()) || is(Shape<2, 32, 0>()) ||
      is(Shape<2, 32, 4>()) || is(Shape<1, 32, 2>()) || is(Shape<1, 32, 4>()) || is(Shape<1, 1, 4>()) || (work(p), true);
}

/// Calls use(byte, code) for every run of bytes whose codes are consecutive.
template <class Use>
inline void each_byte_run(const int32_t* format, const Plane& p, size_t blocks, Use use) {
  // Copies, or a compiler reads them again after every byte written.
  const int weights = format[kWeights], bytes = format[kBytes], offset = p.offset, group = p.group, stride = p.stride;
  for (size_t block = 0; block < blocks; block++) {
    size_t byte = block * bytes + offset;
    for (int code = 0; code < weights; code += group, byte += stride) use(byte, block * weights + code);
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
    Vector operator>>(int n) const {
      return each([n](uint64_t x, uint64_t) { return x >> n; }, *this);
    }
    Vector operator<<(int n) const {
      return each([n](uint64_t x, uint64_t) { return x << n; }, *this);
    }
    Vector operator&(uint64_t m) const {
      return each([m](uint64_t x, uint64_t) { return x & m; }, *this);
    }
    Vector operator|(const Vector& b) const {
      return each([](uint64_t x, uint64_t y) { return x | y; }, b);
    }
    template <class Of>
    Vector each(Of of, const Vector& b) const {
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

/// Every byte of a word.
constexpr uint64_t bytes_of(int x) { return uint64_t(x) * 0x0101010101010101ull; }

/// The codes of one byte run.
template <class S>
inline void unpack_byte_run(uint8_t* to, const uint8_t* from, const S&) {
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
inline void pack_byte_run(uint8_t* to, const uint8_t* from, const S&) {
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

/// Of any shape.
inline void unpack_byte_run(uint8_t* to, const uint8_t* from, const Plane& p) {
  for (int code = 0; code < p.group; code += p.run) {
    const int bit = p.bits * (code / p.run);
    for (int i = 0; i < p.run; i++) {
      const int field = (from[i] >> bit & p.mask) << p.shift;
      to[code + i] = uint8_t(p.first ? field : to[code + i] | field);
    }
  }
}

inline void pack_byte_run(uint8_t* to, const uint8_t* from, const Plane& p) {
  for (int code = 0; code < p.group; code += p.run) {
    const int bit = p.bits * (code / p.run);
    for (int i = 0; i < p.run; i++) to[i] = uint8_t((to[i] & ~(p.mask << bit)) | (from[code + i] >> p.shift & p.mask) << bit);
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
      each_byte_run(format, p, blocks, [&](size_t byte, size_t code) { unpack_byte_run(codes + code, data + byte, shape); });
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
    with_shape(
        p, [&](auto shape) { each_byte_run(format, p, blocks, [&](size_t byte, size_t code) { pack_byte_run(data + byte, codes + code, shape); }); });
  }
}

}  // namespace brownian::BROWNIAN_TARGET
