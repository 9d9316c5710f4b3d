// The census of a tensor (src/laws/census.ts), on threads: counted in tables of their own, which are added up.
#pragma once
#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "arguments.h"
#include "ranges.h"

namespace brownian {

/// What a census is taken of.
struct CensusQuestion {
  /// (format, columns or null), as calls have them from argument i on.
  CensusQuestion(const Napi::CallbackInfo& info, size_t i);
  /// Throws unless so many bytes from weight `index` on are whole blocks, with columns for all of them.
  void check(const Given& data, uint64_t bytes, uint64_t index) const;

  Given given;
  Format format;
  bool by_column = false;
  std::vector<float> inverse;
  std::vector<uint64_t> shares;
  uint64_t width = 1, matrix = 1;
  size_t classes;
};

/// Rows by step: how many weights of each class have it.
using CensusRows = std::map<uint32_t, std::vector<uint64_t>>;

CensusRows census_range(Workers workers, const uint8_t* data, uint64_t bytes, const CensusQuestion& question, uint64_t index);

/// Rows of 1 + classes numbers, as JavaScript has them.
Napi::Value census_array(Napi::Env env, const CensusRows& rows, size_t classes);

/// Adds the call on bytes in memory to what the addon exports.
void export_census(Napi::Env env, Napi::Object exports);

}  // namespace brownian
