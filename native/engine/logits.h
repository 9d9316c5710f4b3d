// One pass over the logits of one token: what was expected, and how surely. Float32 arithmetic without fused operations, and sums in float64 over
// sixteen lanes (element i goes to lane i mod 16), added pairwise 8, 4, 2, 1 apart: the same bits on every processor. Only the addon's engine
// has logits to read in place, so there is no other backend's counterpart.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace brownian {
namespace engine {

constexpr size_t kLanes = 16;

/// e^x for x <= 0, to 2 units in the last place; 0 below -87.
inline float exp_of(float x) {
  const float bounded = x < -87.0f ? -87.0f : x;
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
  return x < -87.0f ? 0.0f : out;
}

inline double sum_of(double* lanes) {
  for (size_t apart = kLanes / 2; apart > 0; apart /= 2) {
    for (size_t i = 0; i < apart; i++) lanes[i] += lanes[i + apart];
  }
  return lanes[0];
}

/// The largest logit and the first token that has it; NaN where any logit is NaN.
struct Largest {
  float logit;
  int32_t token;
};
inline Largest largest_of(const float* logits, size_t n) {
  float lanes[kLanes];
  for (size_t i = 0; i < kLanes; i++) lanes[i] = i < n ? logits[i] : logits[0];
  int nan = 0;
  for (size_t i = 0; i < n; i++) nan |= logits[i] != logits[i];
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; j++) lanes[j] = logits[i + j] > lanes[j] ? logits[i + j] : lanes[j];
  }
  float most = lanes[0];
  for (size_t j = 1; j < kLanes; j++) most = lanes[j] > most ? lanes[j] : most;
  for (; i < n; i++) most = logits[i] > most ? logits[i] : most;
  if (nan) {
    const float zero = 0.0f;
    return {zero / zero, -1};
  }
  size_t token = 0;
  while (logits[token] != most) token++;
  return {most, int32_t(token)};
}

/// sum of e^(beta (l - most)), and of that times (l - most).
struct Moments {
  double weight, mean;
};
inline Moments moments_of(const float* logits, size_t n, float most, float beta) {
  double weights[kLanes] = {}, means[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t j = 0; j < kLanes; j++) {
      const float below = logits[i + j] - most, e = exp_of(beta * below);
      weights[j] += double(e);
      // Of a logit of minus infinity nothing is expected: 0, not infinity times 0.
      means[j] += e > 0.0f ? double(e) * double(below) : 0.0;
    }
  }
  for (size_t j = 0; i < n; i++, j++) {
    const float below = logits[i] - most, e = exp_of(beta * below);
    weights[j] += double(e);
    means[j] += e > 0.0f ? double(e) * double(below) : 0.0;
  }
  return {sum_of(weights), sum_of(means)};
}

}  // namespace engine
}  // namespace brownian
