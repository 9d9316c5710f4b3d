// Sums of squares in the order of src/kernels/contract.ts: leaves, and within them groups of codes or 16 accumulators.

/// Sum of (step * q + origin)^2 of a group of codes as they are stored.
inline double square_group(const uint8_t* codes, size_t n, double step, double origin, const int32_t* format) {
  int32_t squares = 0, plain = 0;
  if (format[kLevels] != kUniform) {
    const Table table = table_of(format[kLevels]);
    for (size_t i = 0; i < n; i++) {
      const int32_t q = table.values[table.level(codes[i])];
      squares += q * q;
      plain += q;
    }
  } else if (format[kPlaneBits] == 8) {
    for (size_t i = 0; i < n; i++) squares += int32_t(int8_t(codes[i])) * int8_t(codes[i]);
    for (size_t i = 0; i < n; i++) plain += int8_t(codes[i]);
  } else {
    const int32_t bias = format[kBias];
    for (size_t i = 0; i < n; i++) squares += (int32_t(codes[i]) - bias) * (int32_t(codes[i]) - bias);
    for (size_t i = 0; i < n; i++) plain += int32_t(codes[i]) - bias;
  }
  return double(squares) * (step * step) + double(plain) * (2 * step * origin) + double(n) * (origin * origin);
}

inline double lattice_leaf(const uint8_t* data, size_t n, const int32_t* format, const float* steps, uint64_t row_length,
                           uint64_t index) {
  const size_t weights = format[kWeights], bytes = format[kBytes];
  alignas(64) uint8_t codes[kSumCut];
  double sum = 0;
  for (size_t tile = 0; tile < n; tile += kSumCut) {
    const size_t count = n - tile < kSumCut ? n - tile : kSumCut;
    const uint8_t* at = data + (tile / weights) * bytes;
    unpack(codes, at, count / weights, format);
    if (format[kStep] == kExternal) {
      each_row(steps, row_length, index + tile, count,
               [&](size_t start, size_t length, float step) { sum += square_group(codes + start, length, step, 0.0, format); });
    } else {
      each_group(at, count / weights, format, [&](size_t start, size_t length, const Group& group) {
        sum += square_group(codes + start, length, group.step, group.origin, format);
      });
    }
  }
  return sum;
}

inline float read_float(const uint8_t* data, size_t i, int kind) {
  if (kind == kF32) {
    float w;
    memcpy(&w, data + 4 * i, 4);
    return w;
  }
  uint16_t h;
  memcpy(&h, data + 2 * i, 2);
  return kind == kF16 ? half_to_float(h) : bits_float(uint32_t(h) << 16);
}

template <int kKindOf>
inline double float_leaf(const uint8_t* data, size_t n) {
  double lanes[16] = {0};
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    for (size_t l = 0; l < 16; l++) {
      const double w = read_float(data, i + l, kKindOf);
      lanes[l] += w * w;
    }
  }
  for (; i < n; i++) {
    const double w = read_float(data, i, kKindOf);
    lanes[i & 15] += w * w;
  }
  for (int apart = 8; apart > 0; apart >>= 1) {
    for (int l = 0; l < apart; l++) lanes[l] += lanes[l + apart];
  }
  return lanes[0];
}

inline double sum_squares(const uint8_t* data, size_t bytes, const int32_t* format, const float* steps, uint64_t row_length,
                          uint64_t index, double total) {
  const size_t weights = format[kWeights], block_bytes = format[kBytes];
  const size_t count = bytes / block_bytes * weights;
  for (size_t leaf = 0; leaf < count; leaf += kSumLeaf) {
    const size_t n = count - leaf < kSumLeaf ? count - leaf : kSumLeaf;
    const uint8_t* at = data + (leaf / weights) * block_bytes;
    switch (format[kKind]) {
      case kLattice: total += lattice_leaf(at, n, format, steps, row_length, index + leaf); break;
      case kF32: total += float_leaf<kF32>(at, n); break;
      case kF16: total += float_leaf<kF16>(at, n); break;
      default: total += float_leaf<kBF16>(at, n); break;
    }
  }
  return total;
}
