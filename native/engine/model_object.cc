// Loading models, and what is asked of them.
#include "model_object.h"

#include <stdexcept>
#include <string>
#include <vector>

#include "../job.h"
#include "arguments.h"
#include "context_object.h"
#include "objects.h"
#include "sampler_object.h"

namespace brownian {
namespace engine {

Constructors& Constructors::Of(Napi::Env env) {
  auto* known = env.GetInstanceData<Constructors>();
  if (known == nullptr) {
    known = new Constructors();
    env.SetInstanceData(known);
  }
  return *known;
}

Napi::Function FlagObject::Define(Napi::Env env) {
  return DefineClass(
      env, "EngineFlag",
      {InstanceMethod<&FlagObject::Raise>("raise"), InstanceMethod<&FlagObject::Lower>("lower"), InstanceAccessor<&FlagObject::Raised>("raised")});
}
FlagObject::FlagObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<FlagObject>(info), flag_(std::make_shared<std::atomic<bool>>(false)) {}
Flag FlagObject::Of(const Napi::Value& value) { return of_ours<FlagObject>(value, Constructors::Of(value.Env()).flag, "the flag")->flag_; }

namespace {

bool raised(void* flag) { return static_cast<std::atomic<bool>*>(flag)->load(std::memory_order_relaxed); }
/// llama.cpp goes on loading while this is true.
bool goes_on(float, void* flag) { return !raised(flag); }

class ModelObject : public Napi::ObjectWrap<ModelObject> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "EngineModel",
                       {InstanceMethod<&ModelObject::Facts>("facts"), InstanceMethod<&ModelObject::Tokenize>("tokenize"),
                        InstanceMethod<&ModelObject::Detokenize>("detokenize"), InstanceMethod<&ModelObject::EndsText>("endsText"),
                        InstanceMethod<&ModelObject::NewContext>("context"), InstanceMethod<&ModelObject::NewSampler>("sampler"),
                        InstanceMethod<&ModelObject::NewAdapter>("adapter"), InstanceMethod<&ModelObject::Free>("free")});
  }
  explicit ModelObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ModelObject>(info), loaded_(handed<LoadedModel>(info)) {}

 private:
  const std::shared_ptr<LoadedModel>& Open(const Napi::CallbackInfo& info) const {
    if (!loaded_) throw Napi::Error::New(info.Env(), "the model was freed");
    return loaded_;
  }

  /// What is known of the model; tokens that it has not are -1.
  Napi::Value Facts(const Napi::CallbackInfo& info) {
    const LoadedModel& m = *Open(info);
    const Library& l = m.library;
    auto facts = Napi::Object::New(info.Env());
    facts.Set("vocabulary", m.tokens);
    facts.Set("trainedContext", l.model_n_ctx_train(m.model));
    facts.Set("width", l.model_n_embd(m.model));
    facts.Set("layers", l.model_n_layer(m.model));
    facts.Set("parameters", double(l.model_n_params(m.model)));
    facts.Set("bytes", double(l.model_size(m.model)));
    char description[256] = "";
    l.model_desc(m.model, description, sizeof(description));
    facts.Set("description", description);
    const Token bos = l.vocab_bos(m.vocabulary);
    facts.Set("bos", m.has(bos) && l.vocab_is_control(m.vocabulary, bos) ? bos : -1);
    facts.Set("eos", l.vocab_eos(m.vocabulary));
    facts.Set("eot", l.vocab_eot(m.vocabulary));
    facts.Set("nl", l.vocab_nl(m.vocabulary));
    facts.Set("vocabularyType", l.vocab_type(m.vocabulary));
    facts.Set("beginsWithBos", l.vocab_get_add_bos(m.vocabulary));
    facts.Set("recurrent", l.model_is_recurrent(m.model));
    facts.Set("hybrid", l.model_is_hybrid(m.model));
    facts.Set("encoder", l.model_has_encoder(m.model));
    facts.Set("decoder", l.model_has_decoder(m.model));
    const char* chat = l.model_chat_template(m.model, nullptr);
    facts.Set("chatTemplate", chat != nullptr ? Napi::Value(Napi::String::New(info.Env(), chat)) : info.Env().Null());
    return facts;
  }

  /// (text, whether tokens that begin and end texts are added, whether the names of special tokens count): Int32Array
  Napi::Value Tokenize(const Napi::CallbackInfo& info) {
    const LoadedModel& m = *Open(info);
    const std::string text = text_of(info[0], "the text");
    const bool add = bool_of(info[1], "whether to add tokens"), special = bool_of(info[2], "whether special tokens count");
    if (text.size() > size_t(INT32_MAX) / 2) refuse(info.Env(), "the text is too long");
    std::vector<Token> tokens(text.size() + 8);
    const int32_t count = m.library.tokenize(m.vocabulary, text.data(), int32_t(text.size()), tokens.data(), int32_t(tokens.size()), add, special);
    if (count == INT32_MIN) refuse(info.Env(), "the text has too many tokens");
    if (count < 0) {
      tokens.resize(size_t(-count));
      if (m.library.tokenize(m.vocabulary, text.data(), int32_t(text.size()), tokens.data(), int32_t(tokens.size()), add, special) != -count) {
        throw Napi::Error::New(info.Env(), "the tokenizer gives another number of tokens each time");
      }
    } else {
      tokens.resize(size_t(count));
    }
    auto out = Napi::Int32Array::New(info.Env(), tokens.size());
    if (!tokens.empty()) memcpy(out.Data(), tokens.data(), tokens.size() * sizeof(Token));
    return out;
  }

  /// (Int32Array, whether special tokens are written by their names): the text; what is no UTF-8 becomes U+FFFD.
  Napi::Value Detokenize(const Napi::CallbackInfo& info) {
    const LoadedModel& m = *Open(info);
    const auto tokens = ints_of(info[0], "the tokens");
    const bool special = bool_of(info[1], "whether special tokens are written");
    for (const Token token : tokens) {
      if (!m.has(token)) refuse(info.Env(), "the model has no token " + std::to_string(token));
    }
    std::string text(tokens.size() * 8 + 16, '\0');
    const auto write = [&] {
      return m.library.detokenize(m.vocabulary, tokens.data(), int32_t(tokens.size()), &text[0], int32_t(text.size()), false, special);
    };
    int32_t length = write();
    if (length < 0) {
      text.resize(size_t(-length));
      length = write();
    }
    text.resize(size_t(length < 0 ? 0 : length));
    return Napi::String::New(info.Env(), text);
  }

  /// (token): whether it ends a text.
  Napi::Value EndsText(const Napi::CallbackInfo& info) {
    const LoadedModel& m = *Open(info);
    const Token token = int_of(info[0], "the token");
    return Napi::Boolean::New(info.Env(), m.has(token) && m.library.vocab_is_eog(m.vocabulary, token));
  }

  /// (parameters, { abort, abortData }: where pointers go, flag): a promise of a context. The flag, once raised, ends what it computes.
  Napi::Value NewContext(const Napi::CallbackInfo& info) {
    const auto model = Open(info);
    Parameters parameters = parameters_of(info[0], "the context's parameters");
    const auto places = object_of(info[1], "the places of pointers");
    const Flag flag = FlagObject::Of(info[2]);
    put_pointer(parameters, places.Get("abort"), &raised, "abort");
    put_pointer(parameters, places.Get("abortData"), static_cast<void*>(flag.get()), "abortData");
    const auto made = std::make_shared<std::shared_ptr<LoadedContext>>();
    return Job::start(
        info.Env(),
        [=] {
          Context* const context = model->library.init_from_model(model->model, parameters);
          if (context == nullptr) throw std::runtime_error("no context: " + Library::Complaints());
          *made = std::make_shared<LoadedContext>(model, flag, context);
          return 0.0;
        },
        [=](Napi::Env env) { return ContextObject::Make(env, *made); });
  }

  /// ([[name, arguments ...], ...]): a chain of samplers.
  Napi::Value NewSampler(const Napi::CallbackInfo& info) { return SamplerObject::Make(info.Env(), Open(info), info[0]); }

  /// (path): a promise of an adapter.
  Napi::Value NewAdapter(const Napi::CallbackInfo& info) {
    const auto model = Open(info);
    const std::string path = text_of(info[0], "the path");
    const auto made = std::make_shared<std::shared_ptr<LoadedAdapter>>();
    return Job::start(
        info.Env(),
        [=] {
          Adapter* const adapter = model->library.adapter_lora_init(model->model, path.c_str());
          if (adapter == nullptr) throw std::runtime_error("no adapter: " + Library::Complaints());
          *made = std::make_shared<LoadedAdapter>(model, adapter);
          return 0.0;
        },
        [=](Napi::Env env) { return AdapterObject::Make(env, *made); });
  }

  /// Contexts keep the model until they are freed too.
  void Free(const Napi::CallbackInfo&) { loaded_.reset(); }

  std::shared_ptr<LoadedModel> loaded_;
};

/// ({ base, ggml, llama, backends }): the library.
const Library& library_of(const Napi::Value& value) {
  const auto given = object_of(value, "the paths");
  const auto path = [&](const char* name) { return text_of(given.Get(name), name); };
  const Paths paths = {path("base"), path("ggml"), path("llama"), path("backends")};
  try {
    return Library::Open(paths);
  } catch (const std::exception& error) {
    throw Napi::Error::New(value.Env(), error.what());
  }
}

Napi::Value bytes_as_array(Napi::Env env, const Parameters& parameters) {
  auto out = Napi::Uint8Array::New(env, sizeof(parameters.bytes));
  memcpy(out.Data(), parameters.bytes, sizeof(parameters.bytes));
  return out;
}

/// (paths): { version, model, context }: the library's version, and its structures of defaults as they come.
Napi::Value describe(const Napi::CallbackInfo& info) {
  const Library& library = library_of(info[0]);
  auto out = Napi::Object::New(info.Env());
  out.Set("version", library.version());
  out.Set("model", bytes_as_array(info.Env(), library.model_default_params()));
  out.Set("context", bytes_as_array(info.Env(), library.context_default_params()));
  return out;
}

/// (paths, file of a backend, or ""): a promise of whether layers can go to anything but processors.
Napi::Value offloads_with(const Napi::CallbackInfo& info) {
  const Library& library = library_of(info[0]);
  const std::string backend = text_of(info[1], "the backend");
  const auto offloads = std::make_shared<bool>();
  return Job::start(
      info.Env(),
      [=, &library] {
        *offloads = library.OffloadsWith(backend);
        return 0.0;
      },
      [=](Napi::Env env) { return Napi::Boolean::New(env, *offloads); });
}

/// (paths, path of the model, parameters, { progress, progressData }: where pointers go, flag): a promise of a model.
Napi::Value load(const Napi::CallbackInfo& info) {
  const Library& library = library_of(info[0]);
  const std::string path = text_of(info[1], "the model's path");
  Parameters parameters = parameters_of(info[2], "the model's parameters");
  const auto places = object_of(info[3], "the places of pointers");
  const Flag flag = FlagObject::Of(info[4]);
  put_pointer(parameters, places.Get("progress"), &goes_on, "progress");
  put_pointer(parameters, places.Get("progressData"), static_cast<void*>(flag.get()), "progressData");
  const auto made_model = std::make_shared<std::shared_ptr<LoadedModel>>();
  return Job::start(
      info.Env(),
      [=, &library] {
        library.listen();
        Library::Complaints();
        Model* const model = library.model_load_from_file(path.c_str(), parameters);
        if (model == nullptr) throw std::runtime_error(flag->load() ? "aborted" : Library::Complaints());
        *made_model = std::make_shared<LoadedModel>(library, model);
        return 0.0;
      },
      [=](Napi::Env env) { return made(Constructors::Of(env).model, env, *made_model); });
}

}  // namespace

void define(Napi::Env env, Napi::Object exports) {
  auto& constructors = Constructors::Of(env);
  const auto keep = [&](Napi::FunctionReference& reference, const Napi::Function& constructor) { reference = Napi::Persistent(constructor); };
  keep(constructors.flag, FlagObject::Define(env));
  keep(constructors.model, ModelObject::Define(env));
  keep(constructors.context, ContextObject::Define(env));
  keep(constructors.adapter, AdapterObject::Define(env));
  keep(constructors.sampler, SamplerObject::Define(env));
  auto engine = Napi::Object::New(env);
  engine.Set("Flag", constructors.flag.Value());
  engine.Set("describe", Napi::Function::New<describe>(env));
  engine.Set("offloadsWith", Napi::Function::New<offloads_with>(env));
  engine.Set("load", Napi::Function::New<load>(env));
  exports.Set("engine", engine);
}

}  // namespace engine
}  // namespace brownian
