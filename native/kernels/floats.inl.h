// Moves of float weights: F32, F16, BF16. The counterpart of src/kernels/js/floats.ts, which holds the formulas.

/// The distance from |w| to the next larger value with this many bits of mantissa; below 2^lowest the grid is uniform.
inline float ulp(float w, int mantissa, int lowest) {
  int exponent = (float_bits(w) >> 23) & 0xff;
  if (exponent < lowest + 127) exponent = lowest + 127;
  return exponent > mantissa ? bits_float(uint32_t(exponent - mantissa) << 23) : bits_float(1u << (exponent + 22 - mantissa));
}
inline float ulp_f32(float w) { return ulp(w, 23, -126); }

inline size_t move_f32_tile(uint8_t* data, size_t n, const Move& move, Draws& draws) {
  const float* z = draws.normals();
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    float w;
    memcpy(&w, data + 4 * i, 4);
    const float size = std::fabs(w);
    if (!(size <= kMaxF32)) continue;
    const float sigma = move.in_steps ? finite(move.sigma * ulp_f32(w)) : move.sigma;
    const float moved = w + clamp(sigma * z[i], kMaxF32 - size);
    if (moved != w) {
      memcpy(data + 4 * i, &moved, 4);
      changed++;
    }
  }
  return changed;
}

/// |y| on the F16 or BF16 grid, as the format's bits: up or down as `word` decides, or to the nearest (ties to even).
inline uint32_t magnitude_bits(float y, bool half, bool nearest, uint32_t word) {
  const float a = std::fabs(y);
  const uint32_t bits = float_bits(a);
  if (half && a < 6.103515625e-5f) {
    const float n = a * 16777216.0f;
    return uint32_t(nearest ? (n + 8388608.0f) - 8388608.0f : n + centred_uniform(word));
  }
  const int dropped = half ? 13 : 16;
  const uint32_t mask = (1u << dropped) - 1;
  const uint32_t bump = nearest ? (mask >> 1) + ((bits >> dropped) & 1) : word & mask;
  const uint32_t kept = (bits + bump) >> dropped;
  return half ? kept - (112u << 10) : kept;
}

inline size_t move_half_tile(uint8_t* data, size_t n, const Move& move, const LawTable& table, Draws& draws) {
  const bool half = move.format[kKind] == kF16;
  const bool nearest = move.rounding == kNearest;
  const float max = half ? 65504.0f : 3.38953138925153547591e38f;
  size_t changed = 0;
  for (size_t i = 0; i < n; i++) {
    uint16_t h;
    memcpy(&h, data + 2 * i, 2);
    const float w = half ? half_to_float(h) : bits_float(uint32_t(h) << 16);
    const float size = std::fabs(w);
    if (!(size <= max)) continue;
    const float step = half ? ulp(w, 10, -14) : ulp(w, 7, -126);
    const float sigma = move.in_steps ? finite(move.sigma * step) : move.sigma;
    float d;
    if (move.rounding == kMatched) {
      const float s = scale_in_steps(move, step);
      const float v = s * s;
      if (v > kTableVariance) {
        // Beyond kMaxS the rounding is too fine to matter, and s no longer tells sigma.
        d = (s < kMaxS ? matched_scale(v) * step : sigma) * draws.normals()[i];
      } else {
        const uint16_t m = draws.moves()[i];
        const int k = Law(table, v).size(m & 0x7fff, draws, i);
        if (k == 0) continue;
        d = float(m & 0x8000 ? -k : k) * step;
      }
    } else {
      d = sigma * draws.normals()[i];
    }
    const float y = w + clamp(d, max - size);
    const uint32_t bits = magnitude_bits(y, half, nearest, nearest ? 0 : draws.rounding()[i]);
    const uint16_t moved = uint16_t(bits | ((float_bits(y) >> 16) & 0x8000));
    if (moved != h) {
      memcpy(data + 2 * i, &moved, 2);
      changed++;
    }
  }
  return changed;
}
