// Objects of the addon in JavaScript's hands, each with the tag of its class: what is no such object is refused.
#pragma once
#include <napi.h>

#include <memory>
#include <utility>

#include "arguments.h"

namespace brownian {

class Plan;
class Prepared;
class StepIndex;

/// Tag<T>::value: two random numbers, others for each class that is held.
template <class T>
struct Tag;

template <>
struct Tag<StepIndex> {
  static constexpr napi_type_tag value = {0x1c53d0b2a86e4f09, 0x8e5b7d41f02c9a63};
};
template <>
struct Tag<Plan> {
  static constexpr napi_type_tag value = {0xa7e942d81b3f4c70, 0xb36d05ce9f812a47};
};
template <>
struct Tag<Prepared> {
  static constexpr napi_type_tag value = {0x40d8b91e27fc4a5d, 0x95a3e60f7bd1428c};
};

/// Whether this object has the tag of T.
template <class T>
bool is_tagged(const Given& given) {
  napi_valuetype type;
  bool ours = false;
  const bool object = napi_typeof(given.env, given.value, &type) == napi_ok && type == napi_object;
  return object && napi_check_object_type_tag(given.env, given.value, &Tag<T>::value, &ours) == napi_ok && ours;
}

/// An object that keeps `object` until JavaScript has no more use for it.
template <class T>
Napi::Value hold(Napi::Env env, std::shared_ptr<T> object) {
  auto holder = Napi::Object::New(env);
  auto* const held = new std::shared_ptr<T>(std::move(object));
  const auto release = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); };
  if (napi_wrap(env, holder, held, release, nullptr, nullptr) != napi_ok) {
    delete held;
    throw Napi::Error::New(env);
  }
  holder.TypeTag(&Tag<T>::value);
  return holder;
}

/// What `hold` was given. Throws where this is not what it returned.
template <class T>
std::shared_ptr<T> held(const Given& given) {
  void* data = nullptr;
  if (!is_tagged<T>(given) || napi_unwrap(given.env, given.value, &data) != napi_ok) given.refuse("is no object of the addon's of this kind");
  return *static_cast<std::shared_ptr<T>*>(data);
}

}  // namespace brownian
