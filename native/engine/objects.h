// How the engine's own classes are made: only by us, from something of ours, and recognized again.
#pragma once
#include <napi.h>

#include <memory>

namespace brownian {
namespace engine {

/// The constructors of an environment (a worker has its own).
struct Constructors {
  Napi::FunctionReference flag, model, context, adapter, sampler;
  static Constructors& Of(Napi::Env env);
};

/// An object of a class of ours that holds `held`.
template <class Held>
Napi::Value made(const Napi::FunctionReference& constructor, Napi::Env env, std::shared_ptr<Held> held) {
  auto* given = new std::shared_ptr<Held>(std::move(held));
  const auto external = Napi::External<std::shared_ptr<Held>>::New(env, given, [](Napi::Env, std::shared_ptr<Held>* owned) { delete owned; });
  return constructor.New({external});
}

/// What `made` handed over. Throws where the constructor was called by anyone else.
template <class Held>
std::shared_ptr<Held> handed(const Napi::CallbackInfo& info) {
  if (info.Length() != 1 || !info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "made by the engine only");
  return *info[0].As<Napi::External<std::shared_ptr<Held>>>().Data();
}

/// The object of ours behind a value. Throws where it is of another kind.
template <class Class>
Class* of_ours(const Napi::Value& value, const Napi::FunctionReference& constructor, const char* what) {
  if (!value.IsObject() || !value.As<Napi::Object>().InstanceOf(constructor.Value()))
    throw Napi::TypeError::New(value.Env(), std::string(what) + " is none of the engine's");
  return Class::Unwrap(value.As<Napi::Object>());
}

}  // namespace engine
}  // namespace brownian
