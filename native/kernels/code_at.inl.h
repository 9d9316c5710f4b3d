// Single codes of a block: where their bit fields lie, by the planes of an encoded format.
#pragma once
#include <cstddef>
#include <cstdint>

#include "codes.inl.h"
#include "format.h"

namespace brownian::BROWNIAN_TARGET {

/// The binary logarithm of a power of two.
inline int log2(int n) {
  int log = 0;
  while (1 << log < n) log++;
  return log;
}

/// Where the bit fields of single codes lie. All counts in the table of formats are powers of two: shifts, not divisions.
template <int kPlanesOfIt>
class CodeAt {
 public:
  explicit CodeAt(const int32_t* format) : weights_log_(log2(format[kWeights])), bytes_(format[kBytes]), signed_(format[kPlaneBits] == 8) {
    for (int which = 0; which < kPlanesOfIt; which++) {
      const Plane p(format, which);
      fields_[which] = {p.offset, p.bits, p.shift, p.mask, p.group, log2(p.group), p.stride, p.run, log2(p.run)};
    }
  }

  /// Code i as it is stored, before the bias.
  int read(const uint8_t* data, size_t i) const {
    int code = 0;
    each(i, [&](const FieldAt& f, size_t byte, int bit) { code |= ((data[byte] >> bit) & f.mask) << f.shift; });
    return signed_ ? int8_t(code) : code;
  }

  void write(uint8_t* data, size_t i, int code) const {
    each(i, [&](const FieldAt& f, size_t byte, int bit) {
      data[byte] = uint8_t((data[byte] & ~(f.mask << bit)) | (((code >> f.shift) & f.mask) << bit));
    });
  }

  void prefetch(const uint8_t* data, size_t i) const {
    each(i, [&](const FieldAt&, size_t byte, int) { brownian::prefetch<true>(data + byte); });
  }

 private:
  struct FieldAt {
    int offset, bits, shift, mask, group, group_log, stride, run, run_log;
  };

  template <class Use>
  void each(size_t i, Use use) const {
    const int e = int(i) & ((1 << weights_log_) - 1);
    const size_t base = (i >> weights_log_) * bytes_;
    for (int which = 0; which < kPlanesOfIt; which++) {
      const FieldAt& f = fields_[which];
      const int in_group = e & (f.group - 1);
      use(f, base + f.offset + (e >> f.group_log) * f.stride + (in_group & (f.run - 1)), f.bits * (in_group >> f.run_log));
    }
  }

  int weights_log_;
  size_t bytes_;
  bool signed_;
  FieldAt fields_[kPlanesOfIt];
};

/// The same where a byte is a code.
class WholeCodeAt {
 public:
  explicit WholeCodeAt(const int32_t* format) : weights_log_(log2(format[kWeights])), bytes_(format[kBytes]), offset_(format[kPlaneOffset]) {}
  int read(const uint8_t* data, size_t i) const { return int8_t(data[byte(i)]); }
  void write(uint8_t* data, size_t i, int code) const { data[byte(i)] = uint8_t(code); }
  void prefetch(const uint8_t* data, size_t i) const { brownian::prefetch<true>(data + byte(i)); }

 private:
  size_t byte(size_t i) const { return (i >> weights_log_) * bytes_ + offset_ + (i & ((size_t(1) << weights_log_) - 1)); }

  int weights_log_;
  size_t bytes_, offset_;
};

/// Calls work with what reads and writes single codes of the format.
template <class Work>
inline auto with_code_at(const int32_t* format, Work work) {
  if (format[kPlaneBits] == 8 && format[kPlaneRun] == format[kWeights]) return work(WholeCodeAt(format));
  return format[kPlanes] == 1 ? work(CodeAt<1>(format)) : work(CodeAt<2>(format));
}

}  // namespace brownian::BROWNIAN_TARGET
