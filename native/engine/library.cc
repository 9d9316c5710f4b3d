// Opening the library and taking its functions.
#include "library.h"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace brownian {
namespace engine {
namespace {

/// Levels of ggml's messages: 1 debug, 2 info, 3 warning, 4 error, 5 the line before goes on.
constexpr int kWarning = 3, kContinued = 5;
constexpr size_t kMostLines = 64;

std::mutex log_mutex;
std::deque<std::string> lines;
bool keeping = false;  // the line before was kept

void log(int level, const char* text, void*) {
  const std::lock_guard<std::mutex> lock(log_mutex);
  if (level == kContinued) {
    if (keeping && !lines.empty()) lines.back() += text;
    return;
  }
  keeping = level >= kWarning;
  if (!keeping) return;
  if (lines.size() == kMostLines) lines.pop_front();
  lines.emplace_back(text);
}

#if defined(_WIN32)

using Handle = HMODULE;

std::wstring wide(const std::string& text) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, text.c_str(), -1, nullptr, 0);
  std::wstring out(length > 0 ? size_t(length) : 1, L'\0');
  MultiByteToWideChar(CP_UTF8, 0, text.c_str(), -1, &out[0], length);
  return out;
}
Handle open(const std::string& path) {
  // What it needs lies beside it.
  const Handle handle = LoadLibraryExW(wide(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (handle == nullptr) throw std::runtime_error(path + " does not load (Windows error " + std::to_string(GetLastError()) + ")");
  return handle;
}
void* find(Handle handle, const char* name) { return reinterpret_cast<void*>(GetProcAddress(handle, name)); }

#else

using Handle = void*;

Handle open(const std::string& path) {
  // Global: the processors' backends look for ggml among what is loaded.
  const Handle handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) {
    const char* why = dlerror();
    throw std::runtime_error(path + " does not load: " + (why != nullptr ? why : "no reason given"));
  }
  return handle;
}
void* find(Handle handle, const char* name) { return dlsym(handle, name); }

#endif

template <class Function>
void take(Handle handle, const char* name, Function& function) {
  void* const at = find(handle, name);
  if (at == nullptr) throw std::runtime_error(std::string("the library has no function ") + name);
  function = reinterpret_cast<Function>(at);
}

}  // namespace

Library::Library(const Paths& paths) {
  if (!paths.base.empty()) open(paths.base);
  const Handle ggml = paths.ggml.empty() ? nullptr : open(paths.ggml);
  const Handle llama = open(paths.llama);
#define BROWNIAN_TAKE(name, result, arguments) take(llama, "llama_" #name, name);
  BROWNIAN_ENGINE_FUNCTIONS(BROWNIAN_TAKE)
#undef BROWNIAN_TAKE
  listen();
  void (*load_all)(const char*) = nullptr;
  const Handle registry = ggml != nullptr ? ggml : llama;
  take(registry, "ggml_backend_load_all_from_path", load_all);
  take(registry, "ggml_backend_load", load_backend_);
  take(llama, "llama_supports_gpu_offload", supports_offload_);
  load_all(paths.backends.c_str());
  backend_init();
}

const Library& Library::Open(const Paths& paths) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Library>> known;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& library = known[paths.llama];
  if (!library) library.reset(new Library(paths));
  return *library;
}

bool Library::OffloadsWith(const std::string& backend) const {
  listen();
  Complaints();
  if (!backend.empty() && load_backend_(backend.c_str()) == nullptr) throw std::runtime_error(backend + " does not load: " + Complaints());
  return supports_offload_();
}

void Library::listen() const { log_set(log, nullptr); }

std::string Library::Complaints() {
  const std::lock_guard<std::mutex> lock(log_mutex);
  std::string all;
  for (const auto& line : lines) all += line;
  lines.clear();
  return all;
}

}  // namespace engine
}  // namespace brownian
