// A model as the engine has it loaded: its vocabulary, what is known of it, and the contexts that compute with it.
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>

#include "library.h"

namespace brownian {
namespace engine {

/// Raised by whoever wants loading or computing to end; the engine asks it now and again, from its own threads.
using Flag = std::shared_ptr<std::atomic<bool>>;

class FlagObject : public Napi::ObjectWrap<FlagObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit FlagObject(const Napi::CallbackInfo& info);
  static Flag Of(const Napi::Value& value);

 private:
  void Raise(const Napi::CallbackInfo&) { flag_->store(true); }
  void Lower(const Napi::CallbackInfo&) { flag_->store(false); }
  Napi::Value Raised(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), flag_->load()); }
  Flag flag_;
};

/// A loaded model; freed when its last context is gone.
struct LoadedModel {
  const Library& library;
  Model* const model;
  const Vocabulary* const vocabulary;
  const int32_t tokens;

  LoadedModel(const Library& library, Model* model)
      : library(library), model(model), vocabulary(library.model_get_vocab(model)), tokens(library.vocab_n_tokens(vocabulary)) {}
  ~LoadedModel() { library.model_free(model); }
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  bool has(Token token) const { return token >= 0 && token < tokens; }
};

/// The engine's functions on a library: { open(paths) } -> { version, defaults, load }.
void define(Napi::Env env, Napi::Object exports);

}  // namespace engine
}  // namespace brownian
