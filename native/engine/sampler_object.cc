// Chains of llama.cpp's samplers by their names and arguments.
#include "sampler_object.h"

#include <string>
#include <vector>

#include "arguments.h"
#include "objects.h"

namespace brownian {
namespace engine {
namespace {

/// The arguments of one entry, taken in turn.
struct Entry {
  const Napi::Array list;
  const std::string name;
  uint32_t next = 1;

  explicit Entry(const Napi::Array& list) : list(list), name(text_of(list.Get(0u), "a sampler's name")) {}
  Napi::Value value() { return list.Get(next++); }
  float f() { return float_of(value(), name.c_str()); }
  int32_t i() { return int_of(value(), name.c_str()); }
  uint32_t seed() { return uint32_t(number_of(value(), name.c_str())); }
  std::string text() { return text_of(value(), name.c_str()); }
  /// Tokens of the past that count: all, where -1 would mean the context's length.
  int32_t last() { return i(); }
};

Sampler* dry(const LoadedModel& model, Entry& entry) {
  const float multiplier = entry.f(), base = entry.f();
  const int32_t allowed = entry.i(), last = entry.last();
  const Napi::Value given = entry.value();
  if (!given.IsArray()) refuse(given.Env(), "dry: breakers are no list");
  const auto breakers = given.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < breakers.Length(); i++) texts.push_back(text_of(breakers.Get(i), "dry: a breaker"));
  std::vector<const char*> pointers;
  for (const auto& text : texts) pointers.push_back(text.c_str());
  return model.library.sampler_init_dry(model.vocabulary, multiplier, base, allowed, last, pointers.data(), pointers.size());
}

Sampler* bias(const LoadedModel& model, Entry& entry) {
  const Napi::Value first = entry.value(), second = entry.value();
  const auto tokens = ints_of(first, "logitBias: tokens");
  const auto values = floats_of(second, "logitBias: values");
  if (tokens.size() != values.size()) refuse(first.Env(), "logitBias: a value a token is needed");
  std::vector<LogitBias> biases;
  for (size_t i = 0; i < tokens.size(); i++) {
    if (!model.has(tokens[i])) refuse(first.Env(), "logitBias: no such token");
    biases.push_back({tokens[i], values[i]});
  }
  return model.library.sampler_init_logit_bias(model.tokens, int32_t(biases.size()), biases.data());
}

Sampler* made_of(const LoadedModel& model, Entry& entry) {
  const Library& l = model.library;
  const std::string& name = entry.name;
  if (name == "greedy") return l.sampler_init_greedy();
  if (name == "dist") return l.sampler_init_dist(entry.seed());
  if (name == "topK") return l.sampler_init_top_k(entry.i());
  if (name == "topP") return l.sampler_init_top_p(entry.f(), 1);
  if (name == "minP") return l.sampler_init_min_p(entry.f(), 1);
  if (name == "typical") return l.sampler_init_typical(entry.f(), 1);
  if (name == "temperature") return l.sampler_init_temp(entry.f());
  if (name == "dynamicTemperature") {
    const float t = entry.f(), delta = entry.f(), exponent = entry.f();
    return l.sampler_init_temp_ext(t, delta, exponent);
  }
  if (name == "xtc") {
    const float p = entry.f(), t = entry.f();
    return l.sampler_init_xtc(p, t, 1, entry.seed());
  }
  if (name == "topNSigma") return l.sampler_init_top_n_sigma(entry.f());
  if (name == "mirostat") {
    const uint32_t seed = entry.seed();
    const float tau = entry.f(), eta = entry.f();
    return l.sampler_init_mirostat(model.tokens, seed, tau, eta, 100);
  }
  if (name == "mirostatV2") {
    const uint32_t seed = entry.seed();
    const float tau = entry.f(), eta = entry.f();
    return l.sampler_init_mirostat_v2(seed, tau, eta);
  }
  if (name == "grammar") {
    const std::string rules = entry.text(), root = entry.text();
    Sampler* const made = l.sampler_init_grammar(model.vocabulary, rules.c_str(), root.c_str());
    if (made == nullptr) throw Napi::Error::New(entry.list.Env(), "the grammar does not parse: " + Library::Complaints());
    return made;
  }
  if (name == "penalties") {
    const int32_t last = entry.last();
    const float repeat = entry.f(), frequency = entry.f(), presence = entry.f();
    return l.sampler_init_penalties(model.tokens, last, repeat, frequency, presence);
  }
  if (name == "dry") return dry(model, entry);
  if (name == "logitBias") return bias(model, entry);
  refuse(entry.list.Env(), "there is no sampler " + name);
}

}  // namespace

Napi::Function SamplerObject::Define(Napi::Env env) {
  return DefineClass(env, "EngineSampler",
                     {InstanceMethod<&SamplerObject::Accept>("accept"), InstanceMethod<&SamplerObject::Reset>("reset"),
                      InstanceMethod<&SamplerObject::Free>("free")});
}

SamplerObject::SamplerObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<SamplerObject>(info), chain_(handed<Chain>(info)) {}

Napi::Value SamplerObject::Make(Napi::Env env, const std::shared_ptr<LoadedModel>& model, const Napi::Value& list) {
  if (!list.IsArray()) refuse(env, "the samplers are no list");
  const auto entries = list.As<Napi::Array>();
  const auto chain = std::make_shared<Chain>(model, model->library.sampler_chain_init({true}));
  for (uint32_t i = 0; i < entries.Length(); i++) {
    const Napi::Value one = entries.Get(i);
    if (!one.IsArray()) refuse(env, "a sampler is no list");
    Entry entry(one.As<Napi::Array>());
    Sampler* const sampler = made_of(*model, entry);
    if (sampler == nullptr) refuse(env, "the sampler " + entry.name + " refuses its arguments");
    model->library.sampler_chain_add(chain->chain, sampler);
  }
  return made(Constructors::Of(env).sampler, env, chain);
}

std::shared_ptr<Chain> SamplerObject::Of(const Napi::Value& value) {
  const auto chain = of_ours<SamplerObject>(value, Constructors::Of(value.Env()).sampler, "the sampler")->chain_;
  if (!chain) throw Napi::Error::New(value.Env(), "the sampler was freed");
  return chain;
}

void SamplerObject::Accept(const Napi::CallbackInfo& info) {
  const auto chain = Of(info.This());
  const Token token = int_of(info[0], "the token");
  if (!chain->model->has(token)) refuse(info.Env(), "no such token");
  chain->model->library.sampler_accept(chain->chain, token);
}

void SamplerObject::Reset(const Napi::CallbackInfo& info) {
  const auto chain = Of(info.This());
  chain->model->library.sampler_reset(chain->chain);
}

}  // namespace engine
}  // namespace brownian
