// Work on Node's thread pool, with a promise of its result.
#pragma once
#include <napi.h>

#include <functional>
#include <utility>

namespace brownian {

/// A job's number, or what `value` makes on the thread of JavaScript, comes back as a promise; what either throws, as its rejection.
class Job : public Napi::AsyncWorker {
 public:
  using Value = std::function<Napi::Value(Napi::Env)>;

  static Napi::Value start(Napi::Env env, std::function<double()> work, Value value = nullptr) {
    auto* job = new Job(env, std::move(work), std::move(value));  // deletes itself when it is done, on the thread of JavaScript
    auto promise = job->deferred_.Promise();
    job->Queue();
    return promise;
  }

 protected:
  void Execute() override { result_ = work_(); }
  void OnOK() override {
    try {
      deferred_.Resolve(value_ ? value_(Env()) : Napi::Number::New(Env(), result_));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    }
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Job(Napi::Env env, std::function<double()> work, Value value)
      : Napi::AsyncWorker(env, "brownian"), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)), value_(std::move(value)) {}

  Napi::Promise::Deferred deferred_;
  std::function<double()> work_;
  Value value_;
  double result_ = 0;
};

}  // namespace brownian
