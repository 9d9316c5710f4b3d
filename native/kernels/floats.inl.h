// Moves of float weights: F32, F16, BF16. The counterpart of src/kernels/js/floats.ts, which holds the formulas.

/// The distance from |w| to the next larger value with this many bits of mantissa; below 2^lowest the grid is uniform.
inline float ulp(float w, int mantissa, int lowest) {
  int exponent = (float_bits(w) >> 23) & 0xff;
  if (exponent < lowest + 127) exponent = lowest + 127;
  return exponent > mantissa ? bits_float(uint32_t(exponent - mantissa) << 23) : bits_float(1u << (exponent + 22 - mantissa));
}
inline float ulp_f32(float w) { return ulp(w, 23, -126); }

inline float read_f32(const uint8_t* data, size_t i) {
  float w;
  memcpy(&w, data + 4 * i, 4);
  return w;
}

/// The sum of all lanes.
inline size_t sum_of_lanes(U a) {
  alignas(64) uint32_t lanes[N];
  store(lanes, a);
  size_t sum = 0;
  for (size_t lane = 0; lane < N; lane++) sum += lanes[lane];
  return sum;
}

/// F32 weights, a vector at a time.
class FloatMover {
 public:
  FloatMover(const Move& move, Draws& draws) : in_steps_(move.in_steps), sigma_(move.sigma), draws_(draws) {}

  size_t operator()(uint8_t* data, size_t n) {
    const float* z = draws_.normals();
    const size_t whole = n - n % N;
    U changed = set1(0);
    for (size_t i = 0; i < whole; i += N) vector(data + 4 * i, z + i, changed);
    if (whole < n) {
      alignas(64) uint8_t rest[4 * N] = {};
      memcpy(rest, data + 4 * whole, 4 * (n - whole));
      U ignored = set1(0);
      vector(rest, z + whole, ignored);
      size_t others = 0;
      for (size_t i = 0; i < 4 * (n - whole); i += 4) others += memcmp(rest + i, data + 4 * whole + i, 4) != 0;
      memcpy(data + 4 * whole, rest, 4 * (n - whole));
      return sum_of_lanes(changed) + others;
    }
    return sum_of_lanes(changed);
  }

 private:
  inline void vector(uint8_t* at, const float* z, U& changed) const {
    uint32_t* const words = reinterpret_cast<uint32_t*>(at);
    const U bits = load(words), magnitude = band(bits, set1(0x7fffffffu)), exponent = band(bits, set1(0x7f800000u));
    const F w = as_float(bits), room = sub(set1f(kMaxF32), as_float(magnitude));
    const F step = mul(max(as_float(exponent), as_float(set1(1u << 23))), set1f(1.1920928955078125e-7f));
    const F sigma = in_steps_ ? min(mul(set1f(sigma_), step), set1f(kMaxF32)) : set1f(sigma_);
    const F moved = add(w, max(min(mul(sigma, load_f(z)), room), sub(set1f(0.0f), room)));
    // Not of infinities and NaNs; and one zero is as good as the other.
    const U finite = sar<31>(sub(magnitude, set1(0x7f800000u)));
    const U differs = sar<31>(sub(set1(0), band(as_uint(sub(moved, w)), set1(0x7fffffffu))));
    const U moves = band(differs, finite);
    store(words, bxor(bits, band(bxor(bits, as_uint(moved)), moves)));
    changed = sub(changed, moves);
  }

  const bool in_steps_;
  const float sigma_;
  Draws& draws_;
};

struct F16 {
  static constexpr float max = 65504.0f;
  static float value(uint16_t h) { return half_to_float(h); }
  static float step(float w) { return ulp(w, 10, -14); }

  /// |y| on the grid, as the format's bits: up or down as `word` decides, or to the nearest (ties to even).
  static uint32_t magnitude(float a, bool nearest, uint32_t word) {
    const uint32_t bits = float_bits(a);
    const uint32_t bump = nearest ? 0xfff + ((bits >> 13) & 1) : word & 0x1fff;
    const uint32_t normal = ((bits + bump) >> 13) - (112u << 10);
    const float n = a * 16777216.0f;
    const float up = nearest ? (n + 8388608.0f) - 8388608.0f : n + centred_uniform(word);
    const bool small = a < 6.103515625e-5f;
    return small ? uint32_t(int32_t(small ? up : 0.0f)) : normal;
  }
};

struct BF16 {
  static constexpr float max = 3.38953138925153547591e38f;
  static float value(uint16_t h) { return bits_float(uint32_t(h) << 16); }
  static float step(float w) { return ulp(w, 7, -126); }

  static uint32_t magnitude(float a, bool nearest, uint32_t word) {
    const uint32_t bits = float_bits(a);
    const uint32_t bump = nearest ? 0x7fff + ((bits >> 16) & 1) : word & 0xffff;
    return (bits + bump) >> 16;
  }
};

/// Step by step for all weights of the tile: each loop is vectors.
template <class Format>
inline size_t move_half_tile(uint8_t* data, size_t n, const Move& move, const LawTable& table, Draws& draws) {
  const bool nearest = move.rounding == kNearest, matched = move.rounding == kMatched;
  uint16_t h[kTile];
  alignas(64) float v[kTile + N], w[kTile], step[kTile], d[kTile];
  memcpy(h, data, 2 * n);
  int in_table = 0, beyond = 0;
  for (size_t i = 0; i < n; i++) {
    w[i] = Format::value(h[i]);
    step[i] = Format::step(w[i]);
  }
  for (size_t i = 0; i < n; i++) {
    const float s = scale_in_steps(move, step[i]);
    const float sigma = move.in_steps ? finite(move.sigma * step[i]) : move.sigma;
    v[i] = matched ? s * s : INFINITY;
    // Beyond kMaxS the rounding is too fine to matter, and s no longer tells sigma.
    d[i] = matched && s < kMaxS ? matched_scale(s * s) * step[i] : sigma;
  }
  for (size_t i = 0; i < n; i++) in_table |= v[i] <= kTableVariance;
  for (size_t i = 0; i < n; i++) beyond |= !(v[i] <= kTableVariance);
  if (beyond) {
    const float* z = draws.normals();
    for (size_t i = 0; i < n; i++) d[i] *= z[i];
  }
  if (in_table) {
    alignas(64) int32_t k[kTile + N];
    table_each(k, n, table, v, draws);
    for (size_t i = 0; i < n; i++) d[i] = v[i] <= kTableVariance ? float(k[i]) * step[i] : d[i];
  }
  const uint32_t* words = nearest ? nullptr : draws.rounding();
  int changed = 0;
  for (size_t i = 0; i < n; i++) {
    const float size = std::fabs(w[i]);
    const float y = w[i] + clamp(d[i], Format::max - size);
    const uint32_t bits = Format::magnitude(std::fabs(y), nearest, nearest ? 0 : words[i]);
    const uint16_t moved = uint16_t(bits | ((float_bits(y) >> 16) & 0x8000));
    const bool usable = size <= Format::max, unmoved = (d[i] == 0.0f) & (v[i] <= kTableVariance);
    const uint16_t kept = usable & !unmoved ? moved : h[i];
    changed += kept != h[i];
    h[i] = kept;
  }
  if (changed > 0) memcpy(data, h, 2 * n);
  return size_t(changed);
}
