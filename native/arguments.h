// What the addon's calls are given, read and checked: whatever JavaScript hands over, kernels get numbers in their ranges and memory that is
// there, or it gets an error. Reading properties may run JavaScript, which may take memory away: read those before arrays.
#pragma once
#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/format.h"

namespace brownian {

/// Whole numbers up to here are exact in JavaScript.
constexpr double kLargestWhole = 9007199254740991.0;
/// The most threads for one piece of work.
constexpr double kMostThreads = 1024;

/// Throws a TypeError.
[[noreturn]] void refuse(Napi::Env env, const std::string& what);

/// A value that a call was given, and what the call calls it.
struct Given {
  Napi::Env env;
  napi_value value;
  const char* name;

  /// A number from least to most; no NaN.
  double number(double least, double most) const;
  double any_number() const;
  uint64_t whole(double most = kLargestWhole) const;
  uint32_t word() const { return uint32_t(whole(4294967295.0)); }
  bool boolean() const;
  std::string string() const;
  bool null() const;
  bool array() const;
  Given property(const char* key) const;
  Given element(uint32_t index) const;

  [[noreturn]] void refuse(const char* why) const;
};

/// Argument i; undefined where there are fewer.
inline Given argument(const Napi::CallbackInfo& info, size_t i, const char* name) { return {info.Env(), info[i], name}; }

/// The elements of a typed array, in its own memory.
template <class T>
struct Elements {
  T* data;
  size_t length;
};

/// T: uint8_t, int8_t, int32_t, uint32_t, float, double.
template <class T>
Elements<T> elements(const Given& given);

/// The target of this number, among those that run here.
const Target& target_of(const Given& given);
unsigned threads_of(const Given& given);

/// An encoded format that kernels can work on.
struct Format {
  int32_t fields[kFormatFields];

  /// How many weights these bytes are.
  uint64_t weights(uint64_t bytes) const { return bytes / uint64_t(fields[kBytes]) * uint64_t(fields[kWeights]); }
};
/// Whether its weights have steps by row, which a call brings along.
bool steps_are_given(const Format& format);

/// From an Int32Array of kFormatFields.
Format format_of(const Given& given);

/// A move as it crosses: a record (moveRecord in src/kernels/addon.ts), or [record, steps of rows], or [record, factors of columns]. Points into
/// memory of JavaScript's: for use within the call.
struct GivenMove {
  explicit GivenMove(const Given& given);
  GivenMove(const GivenMove&) = delete;
  GivenMove& operator=(const GivenMove&) = delete;

  /// Throws unless so many bytes are whole blocks, with steps and factors for all of them. Returns how many weights they are.
  uint64_t check(uint64_t bytes) const;

  Given given;
  Format format;
  Move move{};
  bool by_row = false, by_column = false;  // whether there are steps, or factors; their arrays may be empty all the same
  size_t steps = 0, factors = 0;           // how many
};

/// The same with memory of its own, so that it outlives the call.
struct OwnedMove {
  explicit OwnedMove(const GivenMove& given);
  OwnedMove(const OwnedMove&) = delete;
  OwnedMove& operator=(const OwnedMove&) = delete;

  Format format;
  std::vector<float> steps, factors;
  Move move;
};

/// The steps of rows as they cross: {steps, rowLength}, or null where a format has steps of its own. Points into memory of JavaScript's.
struct GivenRows {
  GivenRows(const Given& given, const Format& format);
  /// Throws unless there are steps for weights [0, end) of the tensor.
  void check(uint64_t end) const;

  Given given;
  bool by_row = false;
  const float* steps = nullptr;
  size_t count = 0;
  uint64_t row_length = 1;
};

/// Throws unless so many bytes are whole blocks.
void check_blocks(const Given& given, const Format& format, uint64_t bytes);

/// The target's evolution of this name, after checking its parameters for this format.
const Evolution& evolution_of(const Target& target, const Given& name, const Elements<float>& parameters, const Format& format);

}  // namespace brownian
