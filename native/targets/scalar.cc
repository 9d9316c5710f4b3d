// One lane, no intrinsics: runs anywhere.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "../kernels/format.h"

namespace brownian {
namespace scalar {

constexpr int N = 1;
constexpr int H_LANES = 1;
using U = uint32_t;
struct F {
  float x;
};
using H = int16_t;

inline U set1(uint32_t x) { return x; }
inline F set1f(float x) { return {x}; }
inline U load(const uint32_t* p) { return *p; }
inline F as_float(U a) {
  F f;
  memcpy(&f, &a, 4);
  return f;
}
inline U as_uint(F a) {
  U u;
  memcpy(&u, &a, 4);
  return u;
}
inline U add(U a, U b) { return a + b; }
inline U sub(U a, U b) { return a - b; }
inline U band(U a, U b) { return a & b; }
inline U bxor(U a, U b) { return a ^ b; }
inline U xor3(U a, U b, U c) { return a ^ b ^ c; }
template <int n> inline U shl(U a) { return a << n; }
template <int n> inline U shr(U a) { return a >> n; }
template <int n> inline U sar(U a) { return U(int32_t(a) >> n); }
inline U add_carry(U high, U sum, U addend) { return high + (sum < addend); }
inline void mul_wide(U a, uint32_t m, U& high, U& low) {
  const uint64_t product = uint64_t(a) * m;
  high = U(product >> 32);
  low = U(product);
}
inline F add(F a, F b) { return {a.x + b.x}; }
inline F sub(F a, F b) { return {a.x - b.x}; }
inline F mul(F a, F b) { return {a.x * b.x}; }
inline F root(F a) { return {std::sqrt(a.x)}; }
inline F from_int(U a) { return {float(int32_t(a))}; }
inline U to_int(F a) { return U(int32_t(a.x)); }
inline void store_blocks(uint32_t* out, U a, U b, U c, U d) {
  out[0] = a;
  out[1] = b;
  out[2] = c;
  out[3] = d;
}
inline void store_i16(int16_t* out, U a) {
  const int32_t x = int32_t(a);
  *out = int16_t(x > 32767 ? 32767 : x < -32768 ? -32768 : x);
}

inline H set1_h(int16_t x) { return x; }
inline H load_h(const uint16_t* p) { return H(*p); }
inline void store_h(int16_t* p, H a) { *p = a; }
inline H and_h(H a, H b) { return H(a & b); }
inline H xor_h(H a, H b) { return H(a ^ b); }
inline H add_h(H a, H b) { return H(a + b); }
inline H sub_h(H a, H b) { return H(a - b); }
inline H min_h(H a, H b) { return a < b ? a : b; }
inline H max_h(H a, H b) { return a > b ? a : b; }
inline H sar15_h(H a) { return H(a >> 15); }
inline H count_less(H count, H a, H b) { return H(count + (a < b)); }
inline H or_equal(H open, H a, H b) { return H(open | (a == b)); }
inline bool any_h(H a) { return a != 0; }
inline H load_codes(const int8_t* p) { return *p; }
inline void store_codes(int8_t* p, H a) { *p = int8_t(a); }
inline size_t count_nonzero(H a) { return a != 0; }

#include "../kernels/all.inl.h"

}  // namespace scalar

const Target kScalarTarget = {"scalar", scalar::bits, scalar::uniform, scalar::normal, scalar::perturb, scalar::sum_squares};

}  // namespace brownian
