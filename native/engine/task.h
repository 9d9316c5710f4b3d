// Work outside the event loop whose result, or error, comes back as a promise.
#pragma once
#include <napi.h>

#include <functional>
#include <utility>

namespace brownian {
namespace engine {

class Task : public Napi::AsyncWorker {
 public:
  using Work = std::function<void()>;
  using Value = std::function<Napi::Value(Napi::Env)>;

  /// `work` runs on a thread and may throw std::exception; `value` then makes the result on JavaScript's.
  static Napi::Value Start(Napi::Env env, Work work, Value value) {
    auto* task = new Task(env, std::move(work), std::move(value));
    const Napi::Value promise = task->deferred_.Promise();
    task->Queue();
    return promise;
  }

 protected:
  void Execute() override { work_(); }
  void OnOK() override {
    try {
      deferred_.Resolve(value_(Env()));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Task(Napi::Env env, Work work, Value value)
      : Napi::AsyncWorker(env, "brownian engine"), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)), value_(std::move(value)) {}

  Napi::Promise::Deferred deferred_;
  Work work_;
  Value value_;
};

}  // namespace engine
}  // namespace brownian
