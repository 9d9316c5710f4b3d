// Made by scripts/build/contract.mjs from src/laws/numbers.ts, which says what each number means: change it there.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace brownian {

enum Purpose : uint32_t {
  kBitsPurpose = 0,
  kNormalPurpose = 1,
  kMovePurpose = 2,
  kRefinePurpose = 3,
  kRoundingPurpose = 4,
  kHitPurpose = 5,
  kCollisionPurpose = 6,
  kPullPurpose = 7,
  kFinePurpose = 8,
  kDrawPurpose = 9,
  kSharedPurpose = 10,
  kRowPurpose = 11,
  kRarePurpose = 12,
  kRareHitsPurpose = 13,
  kHalfPurpose = 14,
  kStayPurpose = 15,
  kColumnPurpose = 16,
  kUpdatePurpose = 17,
};

enum Rounding : int {
  kNearest = 0,
  kStochastic = 1,
  kMatched = 2,
};

enum Field : int {
  kKind = 0,
  kWeights = 1,
  kBytes = 2,
  kBias = 3,
  kLevels = 4,
  kLo = 5,
  kHi = 6,
  kGroup = 7,
  kStep = 8,
  kStepOffset = 9,
  kScalesOffset = 10,
  kPlanes = 11,
  kPlaneOffset = 12,
  kPlaneBits = 13,
  kPlaneShift = 14,
  kPlaneGroup = 15,
  kPlaneStride = 16,
  kPlaneRun = 17,
};

enum Kind : int {
  kLattice = 0,
  kF32 = 1,
  kF16 = 2,
  kBF16 = 3,
  kE4m3 = 4,
  kE5m2 = 5,
};

enum Levels : int {
  kUniform = 0,
  kIq4nl = 1,
  kE2m1 = 2,
};

enum StepKind : int {
  kStepExternal = 0,
  kStepF16 = 1,
  kStepF16Origin = 2,
  kStepK2 = 3,
  kStepK3 = 4,
  kStepK4 = 5,
  kStepK6 = 6,
  kStepIq4 = 7,
  kStepE8m0 = 8,
  kStepUe4m3 = 9,
};

enum LogitColumn : int {
  kLogitBelow = 0,
  kLogitWeight = 1,
  kLogitMoment = 2,
  kLogitLargest = 3,
  kLogitCross = 4,
  kLogitHead = 5,
};

constexpr int kPlaneFields = 6;
constexpr int kFormatFields = 24;
constexpr int kMostLevels = 16;
constexpr size_t kCell = 256;
constexpr size_t kCollisionCell = 4096;
constexpr int kMostStride = 65536;
constexpr size_t kSumLeaf = 65536;
constexpr int kCensusShift = 19;
constexpr int kCensusSteps = 4081;
constexpr size_t kSumCut = 4096;
constexpr int kLawRows = 17;
constexpr int kLawColumns = 16;
constexpr int kAliasShift = 19;
constexpr uint32_t kAliasFirst = 1936;
constexpr uint32_t kAliasStill = 129;
constexpr uint32_t kAliasRow = 160;
constexpr size_t kRowSpan = 32;
constexpr size_t kSharedTile = 2048;
constexpr size_t kShared = 256;
constexpr size_t kHitGroup = 32;
constexpr int kHitsMost = 128;
constexpr int kHitsMeanBits = 6;
constexpr int kHitsClasses = 4;
constexpr int kDecayHead = 3;
constexpr int kDecayColumns = 256;
constexpr int kDecayFirst = 888;
constexpr int kAscentHead = 2;
constexpr int kAscentLimit = 1048576;
constexpr size_t kLogitLanes = 16;

}  // namespace brownian
