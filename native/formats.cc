// An encoded format is believed only when every number in it makes sense: kernels index memory by them.
#include "formats.h"

namespace brownian {
namespace {

bool power_of_two(int32_t n) { return n > 0 && (n & (n - 1)) == 0; }

/// What a step kind takes of a block: how many groups (0: any number), and how many bytes at the step's offset and at that of the scales.
struct StepLayout {
  int32_t groups, at_step, at_scales;
};

StepLayout layout_of(int32_t kind, int32_t groups) {
  switch (kind) {
    case kStepF16: return {1, 2, 0};
    case kStepF16Origin: return {1, 4, 0};
    case kStepK2: return {0, 4, groups};
    case kStepK3: return {16, 2, 12};
    case kStepK4: return {8, 4, 12};
    case kStepK6: return {16, 2, 16};
    case kStepIq4: return {8, 4, 4};
    case kStepE8m0: return {1, 1, 0};
    case kStepUe4m3: return {4, 4, 0};
    default: return {-1, 0, 0};
  }
}

bool within(int32_t offset, int64_t length, int32_t bytes) { return offset >= 0 && offset + length <= bytes; }

/// A plane's fields lie in the block, and its codes fill groups that fill the block.
bool sound_plane(const int32_t* format, int which) {
  const int32_t* const p = format + which * kPlaneFields;
  const int32_t bits = p[kPlaneBits], shift = p[kPlaneShift], group = p[kPlaneGroup], stride = p[kPlaneStride], run = p[kPlaneRun];
  if (bits < 1 || bits > 8 || shift < 0 || shift > 8 - bits) return false;
  if (!power_of_two(group) || !power_of_two(run) || group > format[kWeights] || run > group || group / run * bits > 8) return false;
  const int64_t segments = format[kWeights] / group;
  return stride >= 0 && within(p[kPlaneOffset], (segments - 1) * int64_t(stride) + run, format[kBytes]);
}

}  // namespace

const char* wrong_with(const int32_t* format) {
  const int32_t kind = format[kKind], weights = format[kWeights], bytes = format[kBytes], group = format[kGroup], step = format[kStep];
  if (kind == kF32) return weights == 1 && bytes == 4 ? nullptr : "a float32 has 4 bytes";
  if (kind == kF16 || kind == kBF16) return weights == 1 && bytes == 2 ? nullptr : "a half float has 2 bytes";
  if (kind == kE4m3 || kind == kE5m2) return weights == 1 && bytes == 1 ? nullptr : "a float of eight bits has one byte";
  if (kind != kLattice) return "its kind is not known";
  if (!power_of_two(weights) || size_t(weights) > kCell) return "the weights of a block are no power of two up to 256";
  if (bytes < 1 || bytes > 65536) return "a block has 1 to 65536 bytes";

  const int32_t planes = format[kPlanes], levels = format[kLevels];
  if (planes < 1 || planes > 2) return "it has one plane or two";
  int32_t bits = 0;
  for (int which = 0; which < planes; which++) {
    if (!sound_plane(format, which)) return "a plane does not lie in the block";
    const int32_t* const p = format + which * kPlaneFields;
    const int32_t here = ((1 << p[kPlaneBits]) - 1) << p[kPlaneShift];
    if (bits & here) return "a bit of its codes lies in two planes";
    bits |= here;
  }
  if (bits & (bits + 1)) return "a bit of its codes lies in no plane";
  const bool whole_bytes = format[kPlaneBits] == 8;
  if (whole_bytes && planes != 1) return "codes that are bytes have one plane";
  const int64_t least = whole_bytes ? -128 : 0, most = whole_bytes ? 127 : bits, bias = format[kBias];
  const int64_t lo = format[kLo], hi = format[kHi];
  if (bias < -255 || bias > 255 || lo < -128 || lo > hi || hi > 127 || lo + bias < least || hi + bias > most) return "its rails are no codes";

  if (step == kStepExternal) {
    const bool bare = weights == 1 && bytes == 1 && whole_bytes && levels == kUniform && bias == 0;
    return bare ? nullptr : "only bytes that are codes have their steps given";
  }
  if (!power_of_two(group) || group < 16 || group > weights) return "a group has 16 weights or more";
  if (levels != kUniform) {
    if (levels != kIq4nl && levels != kE2m1) return "its levels are not known";
    if (bits > 15 || bias != 0) return "a table has 16 codes";
    if (size_t(group) > kMostTableGroup) return "a group of codes of a table has up to 64 weights";
  }
  const int32_t groups = weights / group;
  const StepLayout layout = layout_of(step, groups);
  if (layout.groups < 0) return "its kind of step is not known";
  if (layout.groups > 0 && layout.groups != groups) return "its kind of step has another number of groups";
  if (!within(format[kStepOffset], layout.at_step, bytes) || !within(format[kScalesOffset], layout.at_scales, bytes)) {
    return "its steps do not lie in the block";
  }
  return nullptr;
}

}  // namespace brownian
