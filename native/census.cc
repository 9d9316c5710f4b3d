// Counting codes by step and class: what census.h declares.
#include "census.h"

#include <cstdlib>
#include <mutex>
#include <new>

#include "parallel.h"

namespace brownian {
namespace {

/// The most that a weight counts: 2^23 of them are still exact in JavaScript.
constexpr double kMostShares = 1099511627776.0;

/// Weights that are counted into one table, far below 2^32: a table costs as much as some thousand weights.
constexpr uint64_t kCounted = 64 * kGrain;

size_t classes_of(const int32_t* format) {
  if (format[kLevels] != kUniform) return format[kLevels] == kE2m1 ? 15 : 16;
  return size_t((format[kHi] - format[kLo]) / 2 + 1);
}

/// Pages that nobody writes to are never there: of thousands of rows a tensor has a hundred.
template <class Count>
class Table {
 public:
  explicit Table(size_t classes) : counts_(static_cast<Count*>(calloc(size_t(kCensusSteps) * classes, sizeof(Count)))), classes_(classes) {
    if (counts_ == nullptr) throw std::bad_alloc();
  }
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;
  ~Table() { free(counts_); }

  CensusTable table() {
    if constexpr (sizeof(Count) == 4) return {counts_, nullptr, seen_, classes_};
    else return {nullptr, counts_, seen_, classes_};
  }

  void add_to(CensusRows& rows) const {
    for (uint32_t row = 0; row < uint32_t(kCensusSteps); row++) {
      if (!seen_[row]) continue;
      auto& sums = rows[row];
      sums.resize(classes_);
      for (size_t c = 0; c < classes_; c++) sums[c] += counts_[row * classes_ + c];
    }
  }

 private:
  Count* counts_;
  bool seen_[kCensusSteps] = {};
  size_t classes_;
};

}  // namespace

CensusQuestion::CensusQuestion(const Napi::CallbackInfo& info, size_t i) : given(argument(info, i, "format")), format(format_of(given)) {
  const int32_t* const fields = format.fields;
  if (fields[kKind] != kLattice || fields[kStep] == kStepExternal) given.refuse("has no steps");
  if (fields[kHi] < fields[kLo]) given.refuse("has no rails");
  classes = classes_of(fields);
  const Given columns = argument(info, i + 1, "columns");
  if (columns.null()) return;
  by_column = true;
  const Given of_width = columns.property("width"), of_matrix = columns.property("matrix");
  const Given of_inverse = columns.property("inverse"), of_shares = columns.property("shares");
  width = of_width.whole();
  matrix = of_matrix.whole();
  if (width == 0 || matrix == 0 || matrix % width != 0 || width % uint64_t(fields[kWeights]) != 0) columns.refuse("has no columns");
  const auto factors = elements<float>(of_inverse);
  const auto counts = elements<double>(of_shares);
  if (counts.length != factors.length) columns.refuse("has not one share a column");
  inverse.assign(factors.data, factors.data + factors.length);
  for (size_t c = 0; c < counts.length; c++) {
    if (!(counts.data[c] >= 0 && counts.data[c] <= kMostShares)) columns.refuse("has a share that is no number from 0 on");
    shares.push_back(uint64_t(counts.data[c]));
  }
}

void CensusQuestion::check(const Given& data, uint64_t bytes, uint64_t index) const {
  check_blocks(data, format, bytes);
  const uint64_t weights = format.weights(bytes), end = index + weights;
  if (index % uint64_t(format.fields[kWeights]) != 0 || end > uint64_t(kLargestWhole)) data.refuse("has an index that begins no block");
  if (weights > 0 && by_column && (end - 1) / matrix >= inverse.size() / width) given.refuse("has too few columns");
}

CensusRows census_range(Workers workers, const uint8_t* data, uint64_t bytes, const CensusQuestion& question, uint64_t index) {
  const int32_t* const format = question.format.fields;
  const uint64_t block_bytes = uint64_t(format[kBytes]), block_weights = uint64_t(format[kWeights]);
  const CensusColumns columns = {question.inverse.data(), question.shares.data(), question.width, question.matrix};
  const uint64_t weights = bytes / block_bytes * block_weights;
  uint64_t grain = (weights / workers.threads + kGrain) / kGrain * kGrain;
  if (grain > kCounted) grain = kCounted;
  CensusRows rows;
  std::mutex adding;
  const auto count = [&](auto& counts, uint64_t begin, uint64_t end) {
    CensusTable table = counts.table();
    const size_t length = size_t((end - begin) / block_weights * block_bytes);
    workers.target->take_census(table, data + begin / block_weights * block_bytes, length, format, question.by_column ? &columns : nullptr,
                                index + begin);
    const std::lock_guard<std::mutex> lock(adding);
    counts.add_to(rows);
  };
  in_parallel(weights, grain, workers.threads, [&](uint64_t begin, uint64_t end) {
    if (question.by_column) {
      Table<uint64_t> shares(question.classes);
      count(shares, begin, end);
    } else {
      Table<uint32_t> counts(question.classes);
      count(counts, begin, end);
    }
  });
  return rows;
}

Napi::Value census_array(Napi::Env env, const CensusRows& rows, size_t classes) {
  auto census = Napi::Float64Array::New(env, rows.size() * (1 + classes));
  double* at = census.Data();
  for (const auto& row : rows) {
    *at++ = row.first;
    for (const uint64_t count : row.second) *at++ = double(count);
  }
  return census;
}

namespace {

/// (target, data, index, format, columns)
Napi::Value census(const Napi::CallbackInfo& info) {
  const Target& target = target_of(argument(info, 0, "target"));
  const Given given = argument(info, 1, "data");
  const uint64_t index = argument(info, 2, "index").whole();
  const CensusQuestion question(info, 3);
  const auto data = elements<uint8_t>(given);
  question.check(given, data.length, index);
  return census_array(info.Env(), census_range({&target, 1}, data.data, data.length, question, index), question.classes);
}

}  // namespace

void export_census(Napi::Env env, Napi::Object exports) { exports.Set("census", Napi::Function::New<census>(env, "census")); }

}  // namespace brownian
