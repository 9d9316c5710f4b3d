// Chains of llama.cpp's samplers by their names and arguments.
#include "sampler_object.h"

#include <cmath>
#include <stdexcept>
#include <algorithm>
#include <cstring>
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
};

/// How many tokens back a sampler looks, at most: it has memory for all of them at once.
constexpr int32_t kMostLast = 1 << 24;

int32_t last_of(Entry& entry) {
  const Napi::Value given = entry.value();
  const int32_t last = int_of(given, entry.name.c_str());
  if (last > kMostLast) refuse(given.Env(), entry.name + " looks too far back");
  return last;
}

Sampler* dry(const LoadedModel& model, Entry& entry) {
  const float multiplier = entry.f(), base = entry.f();
  const int32_t allowed = entry.i(), last = last_of(entry);
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
    if (made == nullptr) throw Napi::Error::New(entry.list.Env(), "the grammar does not parse (llama.cpp writes why to stderr)");
    return made;
  }
  if (name == "penalties") {
    const int32_t last = last_of(entry);
    const float repeat = entry.f(), frequency = entry.f(), presence = entry.f();
    return l.sampler_init_penalties(model.tokens, last, repeat, frequency, presence);
  }
  if (name == "dry") return dry(model, entry);
  if (name == "logitBias") return bias(model, entry);
  refuse(entry.list.Env(), "there is no sampler " + name);
}

Token selected(const TokenDataArray& candidates) {
  if (candidates.selected < 0 || size_t(candidates.selected) >= candidates.size) throw std::runtime_error("the samplers chose no token");
  return candidates.data[candidates.selected].id;
}

}  // namespace

Chain::~Chain() {
  if (grammar != nullptr) model->library.sampler_free(grammar);
  model->library.sampler_free(chain);
}

const float* Chain::logits(Context* context, int32_t output) const {
  const float* row = model->library.get_logits_ith(context, output);
  if (row == nullptr) throw std::runtime_error("the engine has no logits of an output that it was asked for");
  return row;
}

TokenDataArray Chain::candidates(Context* context, int32_t output) {
  const float* row = logits(context, output);
  all_.resize(size_t(model->tokens));
  for (size_t i = 0; i < all_.size(); i++) all_[i] = {Token(i), row[i], 0.0f};
  return {all_.data(), all_.size(), -1, false};
}

/// The same with the likeliest first, by digits of eleven bits: llama.cpp's own sorting of a whole vocabulary takes as long as computing the token.
TokenDataArray Chain::sorted(Context* context, int32_t output) {
  constexpr int kBits = 11, kDigits = 3;
  const float* row = logits(context, output);
  const size_t n = size_t(model->tokens);
  keys_.resize(n);
  turned_.resize(n);
  std::vector<uint32_t> places(size_t(kDigits) << kBits);
  for (size_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, &row[i], 4);
    // Rising keys are falling logits.
    const uint32_t key = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    keys_[i] = {key, Token(i)};
    for (int d = 0; d < kDigits; d++) places[(size_t(d) << kBits) + ((key >> (d * kBits)) & ((1u << kBits) - 1))]++;
  }
  for (int d = 0; d < kDigits; d++) {
    uint32_t* const place = &places[size_t(d) << kBits];
    uint32_t sum = 0;
    for (size_t digit = 0; digit < size_t(1) << kBits; digit++) {
      const uint32_t count = place[digit];
      place[digit] = sum;
      sum += count;
    }
    for (size_t i = 0; i < n; i++) turned_[place[(keys_[i].key >> (d * kBits)) & ((1u << kBits) - 1)]++] = keys_[i];
    std::swap(keys_, turned_);
  }
  all_.resize(n);
  for (size_t i = 0; i < n; i++) all_[i] = {keys_[i].token, row[keys_[i].token], 0.0f};
  return {all_.data(), n, -1, true};
}

/// As llama.cpp's own programs do it (common_sampler_sample), but for what is allowed by nobody: there a grammar ends the process.
Token Chain::choose(Context* context, int32_t output) {
  const Library& l = model->library;
  if (grammar == nullptr && greedy) {
    const float* row = logits(context, output);
    return Token(std::max_element(row, row + model->tokens) - row);
  }
  if (grammar == nullptr) {
    // Not llama.cpp's own sampler_sample, which ends the process where a chain chooses no token.
    TokenDataArray all = sorts ? sorted(context, output) : candidates(context, output);
    l.sampler_apply(chain, &all);
    const Token token = selected(all);
    l.sampler_accept(chain, token);
    return token;
  }
  TokenDataArray free = candidates(context, output);
  l.sampler_apply(chain, &free);
  Token token = selected(free);
  TokenData one = {token, 1.0f, 0.0f};
  TokenDataArray alone = {&one, 1, -1, false};
  l.sampler_apply(grammar, &alone);
  if (one.logit == -INFINITY) {
    TokenDataArray bound = candidates(context, output);
    l.sampler_apply(grammar, &bound);
    std::vector<bool> allowed(all_.size());
    bool any = false;
    for (size_t i = 0; i < bound.size; i++) {
      const bool may = bound.data[i].logit > -INFINITY;
      allowed[size_t(bound.data[i].id)] = may;
      any = any || may;
    }
    if (!any) return -1;
    l.sampler_apply(chain, &bound);
    token = selected(bound);
    if (!allowed[size_t(token)] || !(bound.data[bound.selected].logit > -INFINITY)) return -1;
  }
  l.sampler_accept(grammar, token);
  l.sampler_accept(chain, token);
  return token;
}

Napi::Function SamplerObject::Define(Napi::Env env) {
  return DefineClass(env, "EngineSampler",
                     {InstanceMethod<&SamplerObject::Accept>("accept"), InstanceMethod<&SamplerObject::Replace>("replace"),
                      InstanceMethod<&SamplerObject::Reset>("reset"), InstanceMethod<&SamplerObject::Free>("free")});
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
    if (entry.name != "grammar") {
      model->library.sampler_chain_add(chain->chain, sampler);
      chain->greedy = chain->count == 0 && entry.name == "greedy";
      if (chain->count == 0) chain->sorts = entry.name == "topK" && int_of(one.As<Napi::Array>().Get(1u), "topK") >= model->tokens;
      chain->count++;
    } else if (chain->grammar == nullptr) {
      chain->grammar = sampler;
    } else {
      model->library.sampler_free(sampler);
      refuse(env, "there are two grammars");
    }
  }
  return made(Constructors::Of(env).sampler, env, chain);
}

std::shared_ptr<Chain> SamplerObject::Of(const Napi::Value& value) {
  const auto chain = of_ours<SamplerObject>(value, Constructors::Of(value.Env()).sampler, "the sampler")->chain_;
  if (!chain) throw Napi::Error::New(value.Env(), "the sampler was freed");
  return chain;
}

/// (token of the prompt): all but the grammar are told of it.
void SamplerObject::Accept(const Napi::CallbackInfo& info) {
  const auto chain = Of(info.This());
  const Token token = int_of(info[0], "the token");
  if (!chain->model->has(token)) refuse(info.Env(), "no such token");
  chain->model->library.sampler_accept(chain->chain, token);
}

/// ([name, arguments ...]): in the place of the last one. The others keep what they remember.
void SamplerObject::Replace(const Napi::CallbackInfo& info) {
  const auto chain = Of(info.This());
  const Library& l = chain->model->library;
  if (!info[0].IsArray()) refuse(info.Env(), "a sampler is no list");
  Entry entry(info[0].As<Napi::Array>());
  if (entry.name == "grammar") refuse(info.Env(), "a grammar is no sampler that chooses");
  if (chain->count == 0) refuse(info.Env(), "there is no sampler to be replaced");
  Sampler* const sampler = made_of(*chain->model, entry);
  if (sampler == nullptr) refuse(info.Env(), "the sampler " + entry.name + " refuses its arguments");
  if (chain->count == 1) chain->greedy = chain->sorts = false;
  l.sampler_free(l.sampler_chain_remove(chain->chain, chain->count - 1));
  l.sampler_chain_add(chain->chain, sampler);
}

void SamplerObject::Reset(const Napi::CallbackInfo& info) {
  const auto chain = Of(info.This());
  chain->model->library.sampler_reset(chain->chain);
  if (chain->grammar != nullptr) chain->model->library.sampler_reset(chain->grammar);
}

}  // namespace engine
}  // namespace brownian
