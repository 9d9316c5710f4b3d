// CPUID says what the processor has, XCR0 what the operating system saves on a context switch: a target needs both.
#include "dispatch.h"

#if defined(__x86_64__) || defined(_M_X64)
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#endif

namespace brownian {
namespace {

#if defined(__x86_64__) || defined(_M_X64)

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned subleaf) {
  Registers r;
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, int(leaf), int(subleaf));
  r = {unsigned(out[0]), unsigned(out[1]), unsigned(out[2]), unsigned(out[3])};
#else
  __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
#endif
  return r;
}

unsigned long long xcr0() {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<unsigned long long>(high) << 32) | low;
#endif
}

constexpr unsigned bit(int n) { return 1u << n; }

std::vector<Candidate> detect() {
  const unsigned leaves = cpuid(0, 0).a;
  const Registers one = cpuid(1, 0);
  const Registers seven = leaves >= 7 ? cpuid(7, 0) : Registers();
  const bool os_reports = (one.c & bit(27)) != 0;  // OSXSAVE: XGETBV may be asked
  const unsigned long long saved = os_reports ? xcr0() : 0;
  const bool saves_ymm = (saved & 0x06) == 0x06;
  [[maybe_unused]] const bool saves_zmm = (saved & 0xe6) == 0xe6;
  const unsigned avx_popcnt = bit(28) | bit(23);
  const bool has_avx2 = (one.c & avx_popcnt) == avx_popcnt && (seven.b & bit(5)) != 0;
  const unsigned avx512 = bit(16) | bit(17) | bit(30) | bit(31);  // F, DQ, BW, VL
  [[maybe_unused]] const bool has_avx512 = has_avx2 && (seven.b & avx512) == avx512;
  const auto candidate = [](const Target& target, bool has, bool saves) -> Candidate {
    if (!has) return {target.name, nullptr, "the processor does not have it"};
    if (!saves) return {target.name, nullptr, "the operating system does not save its registers"};
    return {target.name, &target, ""};
  };
#if defined(BROWNIAN_EMULATED_AVX512)
  const Candidate first = {kAvx512Target.name, &kAvx512Target, ""};  // scripts/check/avx512.mjs
#else
  const Candidate first = candidate(kAvx512Target, has_avx512, saves_zmm);
#endif
  return {
      first,
      candidate(kAvx2Target, has_avx2, saves_ymm),
      candidate(kScalarTarget, true, true),
  };
}

#elif defined(__aarch64__) || defined(_M_ARM64)

// Every AArch64 processor has NEON, and every system for it saves its registers.
std::vector<Candidate> detect() { return {{kNeonTarget.name, &kNeonTarget, ""}, {kScalarTarget.name, &kScalarTarget, ""}}; }

#else

std::vector<Candidate> detect() { return {{kScalarTarget.name, &kScalarTarget, ""}}; }

#endif

}  // namespace

const std::vector<Candidate>& candidates() {
  static const std::vector<Candidate> found = detect();
  return found;
}

}  // namespace brownian
