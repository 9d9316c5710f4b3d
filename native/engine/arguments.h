// What JavaScript hands to the engine's objects, checked: a wrong kind throws a TypeError that says which argument.
#pragma once
#include <napi.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "library.h"

namespace brownian {
namespace engine {

[[noreturn]] inline void refuse(Napi::Env env, const std::string& what) { throw Napi::TypeError::New(env, what); }

inline double number_of(const Napi::Value& value, const char* what) {
  if (!value.IsNumber()) refuse(value.Env(), std::string(what) + " is no number");
  return value.As<Napi::Number>().DoubleValue();
}
inline int32_t int_of(const Napi::Value& value, const char* what) {
  const double number = number_of(value, what);
  if (!(number >= -2147483648.0 && number <= 2147483647.0) || number != std::floor(number))
    refuse(value.Env(), std::string(what) + " is no 32-bit integer");
  return int32_t(number);
}
inline float float_of(const Napi::Value& value, const char* what) { return float(number_of(value, what)); }
inline bool bool_of(const Napi::Value& value, const char* what) {
  if (!value.IsBoolean()) refuse(value.Env(), std::string(what) + " is no boolean");
  return value.As<Napi::Boolean>().Value();
}
inline std::string text_of(const Napi::Value& value, const char* what) {
  if (!value.IsString()) refuse(value.Env(), std::string(what) + " is no string");
  return value.As<Napi::String>().Utf8Value();
}
inline Napi::Object object_of(const Napi::Value& value, const char* what) {
  if (!value.IsObject()) refuse(value.Env(), std::string(what) + " is no object");
  return value.As<Napi::Object>();
}

/// A copy of a typed array of this kind.
template <class T>
inline std::vector<T> list_of(const Napi::Value& value, napi_typedarray_type type, const char* what) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
    refuse(value.Env(), std::string(what) + " is no typed array of the right kind");
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}
inline std::vector<int32_t> ints_of(const Napi::Value& value, const char* what) { return list_of<int32_t>(value, napi_int32_array, what); }
inline std::vector<float> floats_of(const Napi::Value& value, const char* what) { return list_of<float>(value, napi_float32_array, what); }
inline std::vector<uint8_t> bytes_of(const Napi::Value& value, const char* what) { return list_of<uint8_t>(value, napi_uint8_array, what); }

/// A structure's bytes, with a pointer at each of the given places.
inline Parameters parameters_of(const Napi::Value& value, const char* what) {
  const auto bytes = bytes_of(value, what);
  Parameters out = {};
  if (bytes.size() > sizeof(out.bytes)) refuse(value.Env(), std::string(what) + " are too long");
  memcpy(out.bytes, bytes.data(), bytes.size());
  return out;
}
template <class Pointer>
inline void put_pointer(Parameters& out, const Napi::Value& offset, Pointer pointer, const char* what) {
  const int32_t at = int_of(offset, what);
  if (at < 0 || size_t(at) + sizeof(pointer) > sizeof(out.bytes)) refuse(offset.Env(), std::string(what) + " lies outside of the structure");
  memcpy(out.bytes + at, &pointer, sizeof(pointer));
}

}  // namespace engine
}  // namespace brownian
