// Moves and other arguments as JavaScript hands them over: read and checked. The header says what each is.
#include "arguments.h"

#include <cfloat>
#include <cmath>
#include <cstring>

#include "dispatch.h"
#include "formats.h"

namespace brownian {
namespace {

/// The numbers of a move's record (moveRecord in src/kernels/addon.ts).
enum Record : int { kSigma, kInSteps, kRowLength, kRoundingOf, kKey0, kKey1, kIndex, kTick, kWidth, kMatrix, kFormat };
constexpr int kRecord = kFormat + kFormatFields;

template <class T>
constexpr napi_typedarray_type kTypeOf = napi_uint8_array;
template <>
constexpr napi_typedarray_type kTypeOf<int8_t> = napi_int8_array;
template <>
constexpr napi_typedarray_type kTypeOf<int32_t> = napi_int32_array;
template <>
constexpr napi_typedarray_type kTypeOf<uint32_t> = napi_uint32_array;
template <>
constexpr napi_typedarray_type kTypeOf<float> = napi_float32_array;
template <>
constexpr napi_typedarray_type kTypeOf<double> = napi_float64_array;

const char* const kTypeNames[] = {"an Int8Array",  "a Uint8Array",  "a Uint8ClampedArray", "an Int16Array", "a Uint16Array",
                                  "an Int32Array", "a Uint32Array", "a Float32Array",      "a Float64Array"};

/// Throws an error that JavaScript has thrown, if a call failed for one, else says that this is not so.
void must(const Given& given, napi_status status, const char* what) {
  if (status == napi_ok) return;
  bool thrown = false;
  if (napi_is_exception_pending(given.env, &thrown) == napi_ok && thrown) throw Napi::Error::New(given.env);
  given.refuse(what);
}

/// A whole number of a record.
uint64_t whole_of(const Given& given, double x, double most, const char* what) {
  if (!(x >= 0 && x <= most && x == std::floor(x))) given.refuse(what);
  return uint64_t(x);
}

/// A word of a record: 32 bits, with a sign or without, as they are the same to JavaScript's operators.
uint32_t word_of(const Given& given, double x, const char* what) {
  if (!(x >= -2147483648.0 && x <= 4294967295.0 && x == std::floor(x))) given.refuse(what);
  return uint32_t(int64_t(x));
}

}  // namespace

void refuse(Napi::Env env, const std::string& what) { throw Napi::TypeError::New(env, what); }

void Given::refuse(const char* why) const { brownian::refuse(env, std::string(name) + " " + why); }

double Given::any_number() const {
  double x;
  if (napi_get_value_double(env, value, &x) != napi_ok) refuse("is not a number");
  return x;
}

double Given::number(double least, double most) const {
  const double x = any_number();
  if (!(x >= least && x <= most)) refuse("is out of range");
  return x;
}

uint64_t Given::whole(double most) const {
  const double x = number(0, most);
  if (x != std::floor(x)) refuse("is not a whole number");
  return uint64_t(x);
}

bool Given::boolean() const {
  bool yes;
  if (napi_get_value_bool(env, value, &yes) != napi_ok) refuse("is not true or false");
  return yes;
}

std::string Given::string() const {
  size_t length;
  if (napi_get_value_string_utf8(env, value, nullptr, 0, &length) != napi_ok) refuse("is not a string");
  std::string text(length + 1, '\0');  // with room for the zero that ends it
  must(*this, napi_get_value_string_utf8(env, value, &text[0], length + 1, &length), "is not a string");
  text.resize(length);
  return text;
}

bool Given::null() const {
  napi_valuetype type;
  must(*this, napi_typeof(env, value, &type), "is nothing");
  return type == napi_null;
}

bool Given::array() const {
  bool yes;
  must(*this, napi_is_array(env, value, &yes), "is nothing");
  return yes;
}

Given Given::property(const char* key) const {
  napi_valuetype type;
  must(*this, napi_typeof(env, value, &type), "is nothing");
  if (type != napi_object) refuse("is not an object");
  napi_value found;
  must(*this, napi_get_named_property(env, value, key, &found), "is not an object");
  return {env, found, key};
}

Given Given::element(uint32_t index) const {
  napi_value found;
  must(*this, napi_get_element(env, value, index, &found), "is not an array");
  return {env, found, name};
}

template <class T>
Elements<T> elements(const Given& given) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  const napi_status status = napi_get_typedarray_info(given.env, given.value, &type, &length, &data, nullptr, nullptr);
  if (status != napi_ok || type != kTypeOf<T>) given.refuse((std::string("is not ") + kTypeNames[kTypeOf<T>]).c_str());
  return {static_cast<T*>(data), length};
}
template Elements<uint8_t> elements(const Given&);
template Elements<int8_t> elements(const Given&);
template Elements<int32_t> elements(const Given&);
template Elements<uint32_t> elements(const Given&);
template Elements<float> elements(const Given&);
template Elements<double> elements(const Given&);

const Target& target_of(const Given& given) {
  const uint64_t which = given.whole();
  if (which >= candidates().size() || candidates()[size_t(which)].target == nullptr) given.refuse("is no target that runs on this machine");
  return *candidates()[size_t(which)].target;
}

unsigned threads_of(const Given& given) { return unsigned(given.number(1, kMostThreads)); }

bool steps_are_given(const Format& format) { return format.fields[kKind] == kLattice && format.fields[kStep] == kStepExternal; }

Format format_of(const Given& given) {
  const Elements<int32_t> numbers = elements<int32_t>(given);
  if (numbers.length != size_t(kFormatFields)) given.refuse("is not an encoded format");
  Format format;
  memcpy(format.fields, numbers.data, sizeof(format.fields));
  if (const char* wrong = wrong_with(format.fields)) given.refuse((std::string("is no format: ") + wrong).c_str());
  return format;
}

void check_blocks(const Given& given, const Format& format, uint64_t bytes) {
  if (bytes % uint64_t(format.fields[kBytes]) != 0) given.refuse("is not whole blocks of its format");
}

GivenMove::GivenMove(const Given& of) : given(of) {
  const bool more = given.array();
  const Given record = more ? given.element(0) : given, each = more ? given.element(1) : given;
  const Elements<double> numbers = elements<double>(record);
  if (numbers.length != size_t(kRecord)) given.refuse("is not the record of a move");
  const double* const r = numbers.data;
  for (int i = 0; i < kFormatFields; i++) {
    const double field = r[kFormat + i];
    if (!(std::fabs(field) <= 65536)) given.refuse("has no format");
    format.fields[i] = int32_t(field);
  }
  if (const char* wrong = wrong_with(format.fields)) given.refuse((std::string("has no format: ") + wrong).c_str());
  if (!(r[kSigma] >= 0 && r[kSigma] <= double(FLT_MAX))) given.refuse("has no sigma");
  move.format = format.fields;
  move.sigma = float(r[kSigma]);
  move.in_steps = r[kInSteps] != 0;
  move.row_length = whole_of(given, r[kRowLength], kLargestWhole, "has no length of rows");
  move.rounding = int(whole_of(given, r[kRoundingOf], kMatched, "has no rounding"));
  move.key.k0 = word_of(given, r[kKey0], "has no key");
  move.key.k1 = word_of(given, r[kKey1], "has no key");
  move.index = whole_of(given, r[kIndex], kLargestWhole, "has no index");
  move.tick = word_of(given, r[kTick], "has no tick");
  if (move.index % uint64_t(format.fields[kWeights]) != 0) given.refuse("has an index that begins no block");

  by_row = steps_are_given(format);
  by_column = more && !by_row;
  if (by_row) {
    if (!more || move.row_length == 0) given.refuse("has no steps by row");
    const Elements<float> array = elements<float>(each);
    move.steps = array.data;
    steps = array.length;
  } else if (by_column) {
    const Elements<float> array = elements<float>(each);
    move.columns_width = whole_of(given, r[kWidth], kLargestWhole, "has no width");
    move.columns_matrix = whole_of(given, r[kMatrix], kLargestWhole, "has no matrix");
    if (move.columns_width == 0 || move.columns_matrix == 0 || move.columns_matrix % move.columns_width != 0) given.refuse("has no columns");
    int wrong = 0;
    for (size_t i = 0; i < array.length; i++) wrong |= !((array.data[i] >= 0) & (array.data[i] <= FLT_MAX));
    if (wrong) given.refuse("has a factor that is no number from 0 on");
    move.columns = array.data;
    factors = array.length;
  }
}

uint64_t GivenMove::check(uint64_t bytes) const {
  check_blocks(given, format, bytes);
  const uint64_t weights = format.weights(bytes), end = move.index + weights;
  if (end > uint64_t(kLargestWhole)) given.refuse("has an index that is too large");
  if (weights == 0) return 0;
  if (by_row && (end - 1) / move.row_length >= steps) given.refuse("has too few steps");
  if (by_column && (end - 1) / move.columns_matrix >= factors / move.columns_width) given.refuse("has too few factors");
  return weights;
}

OwnedMove::OwnedMove(const GivenMove& given)
    : format(given.format),
      steps(given.move.steps, given.move.steps + given.steps),
      factors(given.move.columns, given.move.columns + given.factors),
      move(given.move) {
  move.format = format.fields;
  move.steps = given.move.steps == nullptr ? nullptr : steps.data();
  move.columns = given.move.columns == nullptr ? nullptr : factors.data();
}

GivenRows::GivenRows(const Given& of, const Format& format) : given(of) {
  by_row = steps_are_given(format);
  if (!by_row) return;
  const Given steps_of = given.property("steps"), length = given.property("rowLength");
  row_length = length.whole();
  if (row_length == 0) given.refuse("has no length of rows");
  const Elements<float> array = elements<float>(steps_of);
  steps = array.data;
  count = array.length;
}

void GivenRows::check(uint64_t end) const {
  if (by_row && end > 0 && (end - 1) / row_length >= count) given.refuse("has too few steps");
}

const Evolution& evolution_of(const Target& target, const Given& name, const Elements<float>& parameters, const Format& format) {
  const std::string wanted = name.string();
  std::string known;
  for (size_t i = 0; i < target.evolution_count; i++) {
    const Evolution& evolution = target.evolutions[i];
    if (wanted == evolution.name) {
      if (evolution.takes(parameters.data, parameters.length, format.fields)) return evolution;
      refuse(name.env, "these are not the parameters of \"" + wanted + "\" for weights of this format");
    }
    known += (known.empty() ? "" : ", ") + std::string(evolution.name);
  }
  refuse(name.env, "the addon has no evolution \"" + wanted + "\" (it has " + known + ")");
}

}  // namespace brownian
