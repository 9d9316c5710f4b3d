// What one row of logits says: src/laws/logits.ts over lanes that compilers make vectors of. Plain text, the same for every target.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "format.h"

namespace brownian::BROWNIAN_TARGET {

/// e^x for x <= 0, to 2 units in the last place; 0 below -87.
inline float exp_of(float x) {
  const float bounded = x >= -87.0f ? x : -87.0f;
  const float shifted = bounded * 1.44269504088896341f + 12582912.0f;  // n in the lowest bits
  const float n = shifted - 12582912.0f;
  const float r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = (p * (r * r) + r) + 1.0f;
  uint32_t bits, scale;
  memcpy(&scale, &shifted, 4);
  memcpy(&bits, &y, 4);
  bits += scale << 23;
  float out;
  memcpy(&out, &bits, 4);
  return x >= -87.0f ? out : 0.0f;
}

/// Of a row: its largest logit; NaN where there is one, else infinity where there is one.
inline float largest_logit(const float* logits, size_t n) {
  float lanes[kLogitLanes];
  int32_t nans[kLogitLanes] = {};
  for (size_t j = 0; j < kLogitLanes; j++) lanes[j] = -std::numeric_limits<float>::infinity();
  size_t i = 0;
  for (; i + kLogitLanes <= n; i += kLogitLanes) {
    for (size_t j = 0; j < kLogitLanes; j++) {
      nans[j] |= logits[i + j] != logits[i + j];
      lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];
    }
  }
  for (size_t j = 0; i < n; i++, j++) {
    nans[j] |= logits[i] != logits[i];
    lanes[j] = logits[i] > lanes[j] ? logits[i] : lanes[j];
  }
  float most = lanes[0];
  int32_t nan = nans[0];
  for (size_t j = 1; j < kLogitLanes; j++) {
    most = lanes[j] > most ? lanes[j] : most;
    nan |= nans[j];
  }
  return nan != 0 ? std::numeric_limits<float>::quiet_NaN() : most;
}

/// Sums over a row, in lanes.
struct LogitSums {
  double lanes[kLogitLanes] = {};
  double total() {
    for (size_t apart = kLogitLanes / 2; apart > 0; apart /= 2) {
      for (size_t i = 0; i < apart; i++) lanes[i] += lanes[i + apart];
    }
    return lanes[0];
  }
};

/// Calls `add(i, lane)` for every element; whole rounds of lanes in a loop of fixed length.
template <class Add>
BROWNIAN_INLINE void each_logit(size_t n, Add add) {
  size_t i = 0;
  for (; i + kLogitLanes <= n; i += kLogitLanes) {
    for (size_t j = 0; j < kLogitLanes; j++) add(i + j, j);
  }
  for (size_t j = 0; i < n; i++, j++) add(i, j);
}

inline void add_probabilities(const float* logits, size_t n, const double* row, float* __restrict sums) {
  const float most = float(row[kLogitLargest]);
  const double each = 1.0 / row[kLogitWeight];
  for (size_t i = 0; i < n; i++) sums[i] += float(double(exp_of(logits[i] - most)) * each);
}

inline int32_t read_logits(const float* logits, size_t n, const LogitQuestion& asked, double* out) {
  const float most = largest_logit(logits, n);
  for (size_t i = 0; i < kLogitHead + asked.count; i++) out[i] = std::numeric_limits<double>::quiet_NaN();
  out[kLogitLargest] = double(most);
  if (!(most - most == 0.0f)) return -1;
  out[kLogitBelow] = asked.target < 0 ? 0.0 : double(logits[asked.target] - most);
  LogitSums weight, moment;
  each_logit(n, [&](size_t i, size_t j) {
    const float below = logits[i] - most, e = exp_of(below);
    weight.lanes[j] += double(e);
    moment.lanes[j] += e > 0.0f ? double(e) * double(below) : 0.0;  // of what is impossible nothing is expected
  });
  out[kLogitWeight] = weight.total();
  out[kLogitMoment] = moment.total();
  out[kLogitCross] = 0.0;
  if (asked.reference != nullptr) {
    const float* const reference = asked.reference;
    const float most_there = largest_logit(reference, n);
    LogitSums cross;
    each_logit(n, [&](size_t i, size_t j) {
      const float e = exp_of(reference[i] - most_there);
      cross.lanes[j] += e > 0.0f ? double(e) * double(logits[i] - most) : 0.0;
    });
    out[kLogitCross] = cross.total();
  }
  for (size_t b = 0; b < asked.count; b++) {
    const float beta = asked.betas[b];
    LogitSums at;
    each_logit(n, [&](size_t i, size_t j) { at.lanes[j] += double(exp_of(beta * (logits[i] - most))); });
    out[kLogitHead + b] = at.total();
  }
  size_t token = 0;
  while (logits[token] != most) token++;
  return int32_t(token);
}

}  // namespace brownian::BROWNIAN_TARGET
